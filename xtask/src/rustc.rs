//! How the compiler is called for what is published: without a trace of where it was built.
//!
//! Two things of a machine get into what Cargo builds. Paths, in messages and line tables; and
//! Cargo's `-C metadata`, from which the compiler derives symbols and type ids, and the order of
//! functions follows. For a crate outside of the workspace's folder, as `abi` is for the runtime,
//! Cargo hashes its absolute path into that, and no option changes it. So this program stands
//! between Cargo and the compiler (`RUSTC_WRAPPER`) and replaces it by the crate's folder within the
//! checkout.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::{
    fault::Fault,
    process,
    workspace::{Root, TARGET},
};

/// Names the checkout where this program runs in the compiler's place.
const CHECKOUT: &str = "BANNOCK_XTASK_CHECKOUT";

/// What the checkout's folder is called in what is published.
const PUBLISHED_CHECKOUT: &str = "/bannock";

/// Where crates from elsewhere are said to be, wherever Cargo keeps them.
const PUBLISHED_CRATES: &str = "/crates";

/// Lets `cargo` compile for publication, with `flags` for the target added to those that the
/// workspace's configuration sets; the environment's RUSTFLAGS would replace them.
///
/// # Errors
/// When the compiler does not say what it is, or this program's own file is not known.
pub(crate) fn publish(cargo: &mut Command, root: &Root, flags: &[&str]) -> Result<(), Fault> {
    let own = std::env::current_exe().map_err(|source| Fault::File {
        action: "find",
        path: "/proc/self/exe".into(),
        source,
    })?;
    let compiler = Compiler::of(root)?;
    // Cargo compiles anew when flags change, but not when the wrapper does. As these are given with
    // the wrapper only, nothing that was compiled without it is taken for compiled with it.
    let flags: Vec<OsString> = flags
        .iter()
        .map(OsString::from)
        .chain(remap(root.path(), Path::new(PUBLISHED_CHECKOUT)))
        // Where the standard library's sources are installed, the compiler finds them there.
        .chain(remap(&compiler.sources, &compiler.published_sources))
        .collect();
    cargo
        .env("RUSTC_WRAPPER", own)
        .env(CHECKOUT, root.path())
        .env("SOURCE_DATE_EPOCH", root.source_date())
        .args(["--target", TARGET])
        .arg("--config")
        .arg(configuration(&flags));
    Ok(())
}

/// Compiles, where Cargo runs this program in the compiler's place; then it returns only if that
/// cannot be started.
pub(crate) fn in_its_place() -> Option<ExitCode> {
    let checkout = PathBuf::from(std::env::var_os(CHECKOUT)?);
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next()?;
    let failure = Command::new(&compiler)
        .args(Crate::of_environment().published(&checkout, arguments.collect()))
        .exec();
    eprintln!("xtask: cannot start {}: {failure}", compiler.display());
    Some(ExitCode::FAILURE)
}

/// The compiler that Cargo uses.
pub(crate) struct Compiler {
    /// Its version with the commit that it was built from, as it prints it.
    pub(crate) version: String,
    sources: PathBuf,
    published_sources: PathBuf,
}

impl Compiler {
    /// Asks it in the checkout, which may select a toolchain.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn of(root: &Root) -> Result<Self, Fault> {
        let ask = |arguments: &[&str]| {
            let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            process::output(
                Command::new(program)
                    .current_dir(root.path())
                    .args(arguments),
            )
        };
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim_end());
        let about = ask(&["--version", "--verbose"])?;
        let field = |name: &str| {
            about
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or("unknown")
        };
        // Compilers of distributions name no commit; the standard library's paths then have the release.
        let id = match field("commit-hash: ") {
            "unknown" => field("release: "),
            commit => commit,
        };
        Ok(Self {
            version: about.lines().next().unwrap_or_default().to_owned(),
            sources: sysroot.join("lib/rustlib/src/rust"),
            published_sources: Path::new("/rustc").join(id),
        })
    }
}

/// The crate that Cargo has compiled, as its environment describes it.
struct Crate {
    folder: PathBuf,
    name: OsString,
    version: OsString,
    /// What its build script wrote, which it may include.
    generated: Option<PathBuf>,
}

impl Crate {
    fn of_environment() -> Self {
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        Self {
            folder: variable("CARGO_MANIFEST_DIR").into(),
            name: variable("CARGO_PKG_NAME"),
            version: variable("CARGO_PKG_VERSION"),
            generated: std::env::var_os("OUT_DIR").map(PathBuf::from),
        }
    }

    /// The compiler's arguments, with all that depends on where `checkout` and Cargo's folders are
    /// replaced by what does not. Calls without metadata are Cargo's questions to the compiler: they
    /// compile nothing and stay as they are.
    fn published(&self, checkout: &Path, mut arguments: Vec<OsString>) -> Vec<OsString> {
        let ours = self.within(checkout, &arguments).map(Path::to_path_buf);
        let Some(metadata) = arguments
            .iter_mut()
            .find(|argument| argument.as_encoded_bytes().starts_with(b"metadata="))
        else {
            return arguments;
        };
        let published = if let Some(folder) = ours {
            // The compiler adds the crate's name and kind and its own version. That is as unique as it
            // has to be: no program links one crate of ours twice.
            *metadata = "metadata=".into();
            metadata.push(&folder);
            Path::new(PUBLISHED_CHECKOUT).join(folder)
        } else {
            let mut name = self.name.clone();
            name.push("-");
            name.push(&self.version);
            Path::new(PUBLISHED_CRATES).join(name)
        };
        // Of several that match a path, the compiler applies the last.
        arguments.extend(remap(&self.folder, &published));
        if let Some(generated) = &self.generated {
            arguments.extend(remap(generated, &published.join("generated")));
        }
        arguments
    }

    /// Its folder within the checkout, if it is one of ours: Cargo may keep its own folders there
    /// too, but caps the lints of what is in them.
    fn within(&self, checkout: &Path, arguments: &[OsString]) -> Option<&Path> {
        let capped = arguments.iter().any(|argument| argument == "--cap-lints");
        self.folder.strip_prefix(checkout).ok().filter(|_| !capped)
    }
}

/// The flags that let the compiler call `from` `to`. Where symbolic links lead to it, the working
/// directory that the compiler sees is the real one.
fn remap(from: &Path, to: &Path) -> impl Iterator<Item = OsString> {
    let real = from.canonicalize().ok().filter(|real| real != from);
    [Some(from.to_path_buf()), real]
        .into_iter()
        .flatten()
        .map(move |from| {
            let mut flag = OsString::from("--remap-path-prefix=");
            for part in [from.as_os_str(), OsStr::new("="), to.as_os_str()] {
                flag.push(part);
            }
            flag
        })
}

/// A `--config` argument that adds `flags` for the target. A path that is not UTF-8 is replaced in
/// part, which no prefix then matches; the comparison of two builds would notice.
fn configuration(flags: &[OsString]) -> String {
    let flags: Vec<String> = flags
        .iter()
        .map(|flag| format!("{:?}", flag.to_string_lossy()))
        .collect();
    format!("target.{TARGET}.rustflags=[{}]", flags.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_in(folder: &str) -> Crate {
        Crate {
            folder: folder.into(),
            name: "minicbor".into(),
            version: "2.1.0".into(),
            generated: None,
        }
    }

    fn published(of: &Crate, checkout: &str, arguments: &[&str]) -> Vec<String> {
        of.published(
            Path::new(checkout),
            arguments.iter().map(OsString::from).collect(),
        )
        .into_iter()
        .map(|argument| argument.into_string().unwrap())
        .collect()
    }

    #[test]
    fn our_crates_are_named_by_their_folder_wherever_the_checkout_is() {
        for (checkout, hash) in [("/a", "metadata=0123456789abcdef"), ("/b/c", "metadata=f")] {
            let folder = format!("{checkout}/abi/wire");
            assert_eq!(
                published(
                    &crate_in(&folder),
                    checkout,
                    &[
                        "--crate-name",
                        "wire",
                        "-C",
                        hash,
                        "-C",
                        "extra-filename=-1"
                    ]
                ),
                [
                    "--crate-name",
                    "wire",
                    "-C",
                    "metadata=abi/wire",
                    "-C",
                    "extra-filename=-1",
                    &format!("--remap-path-prefix={folder}=/bannock/abi/wire"),
                ]
            );
        }
    }

    #[test]
    fn crates_from_elsewhere_keep_their_metadata_and_lose_their_place() {
        // Also where Cargo's own folder is inside of the checkout.
        for folder in [
            "/home/.cargo/registry/src/x/m",
            "/a/.cargo/registry/src/x/m",
        ] {
            let mut foreign = crate_in(folder);
            foreign.generated = Some("/a/target/build/m-1/out".into());
            assert_eq!(
                published(
                    &foreign,
                    "/a",
                    &["-C", "metadata=f", "--cap-lints", "allow"]
                ),
                [
                    "-C",
                    "metadata=f",
                    "--cap-lints",
                    "allow",
                    &format!("--remap-path-prefix={folder}=/crates/minicbor-2.1.0"),
                    "--remap-path-prefix=/a/target/build/m-1/out=/crates/minicbor-2.1.0/generated",
                ]
            );
        }
    }

    #[test]
    fn a_folder_behind_a_link_is_remapped_by_both_names() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("real");
        let link = folder.path().join("link");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let flags: Vec<OsString> = remap(&link, Path::new("/bannock")).collect();
        let expected: [OsString; 2] = [&link, &real]
            .map(|path| format!("--remap-path-prefix={}=/bannock", path.display()).into());
        assert_eq!(flags, expected);
    }

    #[test]
    fn questions_to_the_compiler_stay_as_they_are() {
        let arguments = ["-", "--crate-name", "___", "--print=cfg"];
        assert_eq!(
            published(&crate_in("/a/xtask"), "/a", &arguments),
            arguments
        );
    }

    #[test]
    fn flags_are_an_array_of_toml_strings() {
        let flags: Vec<OsString> = ["-Ctarget-feature=+crt-static".into()]
            .into_iter()
            .chain(remap(Path::new("/a \"b\""), Path::new("/bannock")))
            .collect();
        assert_eq!(
            configuration(&flags),
            "target.x86_64-unknown-linux-gnu.rustflags=[\
             \"-Ctarget-feature=+crt-static\", \
             \"--remap-path-prefix=/a \\\"b\\\"=/bannock\"]"
        );
    }
}
