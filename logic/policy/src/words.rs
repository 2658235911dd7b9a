//! Splits a command that is written as one string.

/// Splits `command` into words the way a POSIX shell does, without expanding anything.
///
/// Blanks separate words. `'…'` keeps everything, `"…"` keeps everything but `\"` and `\\`, and
/// outside quotes a backslash keeps the character behind it. There are no variables, globs,
/// comments, pipes or redirections: their characters stand for themselves.
pub(crate) fn split(command: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(kept) => word.push(kept),
                        None => return Err("`'` is not closed"),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('"') => break,
                        Some('\\') => match characters.next() {
                            Some(kept @ ('"' | '\\')) => word.push(kept),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err("`\"` is not closed"),
                        },
                        Some(kept) => word.push(kept),
                        None => return Err("`\"` is not closed"),
                    }
                }
            }
            '\\' => match characters.next() {
                Some(kept) => word.get_or_insert_default().push(kept),
                None => return Err("nothing follows the last `\\`"),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_split_and_nothing_is_expanded() {
        for (command, words) in [
            ("", &[][..]),
            ("  \t\n", &[]),
            ("a b", &["a", "b"]),
            (" a\tb ", &["a", "b"]),
            ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
            ("a '' \"\"", &["a", "", ""]),
            ("a\\ b", &["a b"]),
            ("--x='$HOME'\"/*\"", &["--x=$HOME/*"]),
            (r#""a\"b\\c\d""#, &[r#"a"b\c\d"#]),
            ("a # b | c > d", &["a", "#", "b", "|", "c", ">", "d"]),
            ("-p$$SCONE::pw$$", &["-p$$SCONE::pw$$"]),
        ] {
            assert_eq!(split(command).unwrap(), words, "{command}");
        }
    }

    #[test]
    fn open_quotes_are_refused() {
        for command in ["'a", "\"a", "a\\", "\"a\\"] {
            assert!(split(command).is_err(), "{command}");
        }
    }
}
