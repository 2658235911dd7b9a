//! What a program needs to start: its interpreter and its libraries, as ld.so finds them.
//!
//! The search is that of ld.so(8) without a cache: `DT_RPATH` of the file and of those that loaded it,
//! `DT_RUNPATH`, then the default directories. A library that is in a directory of `/etc/ld.so.conf`
//! only is found by ld.so through its cache, so the cache then becomes part of the tree.

use super::collect::{Collector, Found, child, parent, shown};
use crate::failure::{Because as _, Failure};
use bannock_elf::{Dynamic, DynamicStrings, Elf, parse_interpreter};
use std::collections::{BTreeSet, VecDeque};

/// ld.so's default directories on x86-64, multi-arch distributions first.
const DEFAULT_DIRECTORIES: [&[u8]; 6] = [
    b"/lib/x86_64-linux-gnu",
    b"/usr/lib/x86_64-linux-gnu",
    b"/lib64",
    b"/usr/lib64",
    b"/lib",
    b"/usr/lib",
];

/// What `$LIB` stands for in Debian's ld.so.
const LIB: &[u8] = b"lib/x86_64-linux-gnu";

const CACHE: &[u8] = b"/etc/ld.so.cache";

/// Deepest nesting of `include` in ld.so.conf.
const MAX_INCLUDES: usize = 8;

/// Follows programs and libraries.
pub(super) struct Follower {
    /// Directories of ld.so.conf.
    configured: Vec<Vec<u8>>,
    /// Files that were followed already.
    done: BTreeSet<Vec<u8>>,
}

/// A file whose needs are still to be met.
struct Pending {
    /// Path as it was looked up.
    path: Vec<u8>,
    /// Path without links.
    file: Vec<u8>,
    /// `DT_RPATH` directories of those that loaded it.
    inherited: Vec<Vec<u8>>,
}

impl Follower {
    pub(super) fn new(collector: &Collector) -> Result<Self, Failure> {
        let mut configured = Vec::new();
        read_configuration(collector, b"/etc/ld.so.conf", &mut configured, 0)?;
        Ok(Self {
            configured,
            done: BTreeSet::new(),
        })
    }

    /// Adds the program at `path`, and everything that it needs to start.
    pub(super) fn add_program(
        &mut self,
        collector: &mut Collector,
        path: &[u8],
    ) -> Result<(), Failure> {
        match collector.add(path)? {
            Found::File(file) => self.follow(collector, path, &file, true),
            Found::Directory(_) | Found::Special => {
                Err(format!("`{}` is no program", shown(path)).into())
            }
            Found::Missing => Err(Failure::from(format!("there is no `{}`", shown(path)))
                .help("name the program by its absolute path in the tree")),
        }
    }

    /// Adds what the file needs, which is in the tree already; a file that is no program needs
    /// nothing, unless it `must_run`.
    pub(super) fn follow(
        &mut self,
        collector: &mut Collector,
        path: &[u8],
        file: &[u8],
        must_run: bool,
    ) -> Result<(), Failure> {
        let mut pending = VecDeque::from([Pending {
            path: path.to_vec(),
            file: file.to_vec(),
            inherited: Vec::new(),
        }]);
        let mut is_first = true;
        while let Some(next) = pending.pop_front() {
            if self.done.insert(next.file.clone()) {
                let strict = must_run || !is_first;
                self.follow_one(collector, &next, strict, &mut pending)?;
            }
            is_first = false;
        }
        Ok(())
    }

    fn follow_one(
        &mut self,
        collector: &mut Collector,
        next: &Pending,
        strict: bool,
        pending: &mut VecDeque<Pending>,
    ) -> Result<(), Failure> {
        let bytes = collector.content(&next.file)?;
        if let Some(interpreter) = script_interpreter(&bytes) {
            // Data files may start like scripts; what they name need not exist.
            return match self.add_program(collector, interpreter) {
                Err(_) if !strict => Ok(()),
                other => other,
            };
        }
        let elf = match Elf::parse_file(&bytes) {
            Ok(elf) => elf,
            Err(_) if !strict => return Ok(()),
            Err(fault) => {
                let result: Result<(), _> = Err(fault);
                return Ok(
                    result.because(|| format!("`{}` is no x86-64 program", shown(&next.file)))?
                );
            }
        };
        if let Some(range) = elf.interpreter() {
            let bytes = range.of(&bytes).unwrap_or_default();
            let interpreter = parse_interpreter(bytes)
                .because(|| format!("cannot follow `{}`", shown(&next.file)))?;
            self.add_program(collector, interpreter)?;
        }
        let dynamic = match Dynamic::parse(&bytes, &elf) {
            Ok(dynamic) => dynamic,
            Err(_) if !strict => return Ok(()),
            Err(fault) => {
                let result: Result<(), _> = Err(fault);
                return Ok(result.because(|| format!("cannot follow `{}`", shown(&next.file)))?);
            }
        };
        let Some(dynamic) = dynamic else {
            return Ok(());
        };
        let search = Search::of(next, &dynamic);
        for name in &dynamic.needed {
            let library = self.find(collector, &search, &next.path, name)?;
            pending.push_back(Pending {
                inherited: search.inherited.clone(),
                ..library
            });
        }
        Ok(())
    }

    /// The library `name`, which the file at `path` needs.
    fn find(
        &self,
        collector: &mut Collector,
        search: &Search,
        path: &[u8],
        name: &[u8],
    ) -> Result<Pending, Failure> {
        let mut tried = Vec::new();
        for (candidate, needs_cache) in self.candidates(search, name) {
            // Only a hit may leave a trace in the tree.
            if let Found::File(_) = collector.look_up(&candidate)?
                && let Found::File(file) = collector.add(&candidate)?
            {
                if needs_cache {
                    collector.add(CACHE)?;
                }
                return Ok(Pending {
                    path: candidate,
                    file,
                    inherited: Vec::new(),
                });
            }
            tried.push(shown(parent(&candidate)));
        }
        Err(Failure::from(format!(
            "`{}` needs `{}`, which is in none of: {}",
            shown(path),
            shown(name),
            tried.join(", ")
        ))
        .help("install the library, or correct the RUNPATH of the program"))
    }

    /// Where ld.so looks for `name`, in order, and whether it needs its cache to look there.
    fn candidates(&self, search: &Search, name: &[u8]) -> Vec<(Vec<u8>, bool)> {
        if name.contains(&b'/') {
            return vec![(search.expand(name), false)];
        }
        let own = search.directories.iter().map(|dir| (dir.as_slice(), false));
        let default = DEFAULT_DIRECTORIES.iter().map(|dir| (*dir, false));
        let default = default.filter(|_| search.default_directories);
        let configured = self.configured.iter().map(|dir| (dir.as_slice(), true));
        own.chain(default)
            .chain(configured)
            .map(|(directory, needs_cache)| (child(directory, name), needs_cache))
            .collect()
    }
}

/// Where the needs of one file are searched.
struct Search {
    origin: Vec<u8>,
    directories: Vec<Vec<u8>>,
    /// What its libraries inherit.
    inherited: Vec<Vec<u8>>,
    default_directories: bool,
}

impl Search {
    fn of(next: &Pending, dynamic: &Dynamic<'_>) -> Self {
        let mut search = Self {
            origin: parent(&next.path).to_vec(),
            directories: Vec::new(),
            inherited: Vec::new(),
            default_directories: dynamic.default_directories,
        };
        let expand = |paths: &[&[u8]]| -> Vec<Vec<u8>> {
            paths.iter().map(|path| search.expand(path)).collect()
        };
        let own = expand(&dynamic.rpath);
        match &dynamic.runpath {
            // With a DT_RUNPATH, ld.so ignores every DT_RPATH for this file's needs.
            Some(runpath) => {
                search.directories = expand(runpath);
                search.inherited.clone_from(&next.inherited);
            }
            None => {
                search.inherited = [own, next.inherited.clone()].concat();
                search.directories.clone_from(&search.inherited);
            }
        }
        search
    }

    fn expand(&self, path: &[u8]) -> Vec<u8> {
        let strings = DynamicStrings {
            origin: &self.origin,
            lib: LIB,
            platform: b"x86_64",
        };
        strings.expand(path)
    }
}

/// The interpreter of a script (execve(2)): the first word after `#!`.
fn script_interpreter(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t'));
    words.find(|word| !word.is_empty())
}

fn read_configuration(
    collector: &Collector,
    path: &[u8],
    directories: &mut Vec<Vec<u8>>,
    depth: usize,
) -> Result<(), Failure> {
    // Without a configuration there are the default directories.
    let Found::File(file) = collector.look_up(path)? else {
        return Ok(());
    };
    let text = collector.content(&file)?;
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let line = line.trim_ascii();
        if let Some(pattern) = line.strip_prefix(b"include") {
            if depth == MAX_INCLUDES {
                return Err(format!("`{}` includes too deeply", shown(path)).into());
            }
            let mut pattern = pattern.trim_ascii().to_vec();
            if !pattern.starts_with(b"/") {
                pattern = child(parent(path), &pattern);
            }
            for file in super::glob::expand(collector, &pattern)? {
                read_configuration(collector, &file, directories, depth + 1)?;
            }
        } else if line.starts_with(b"/") {
            directories.push(line.to_vec());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_their_interpreter() {
        for (text, expected) in [
            (&b"#!/bin/sh\n"[..], Some(&b"/bin/sh"[..])),
            (b"#! \t/usr/bin/env python3\nx", Some(b"/usr/bin/env")),
            (b"#!/bin/sh", Some(b"/bin/sh")),
            (b"#!\n/bin/sh", None),
            (b"#/bin/sh", None),
            (b"", None),
        ] {
            assert_eq!(script_interpreter(text), expected);
        }
    }
}
