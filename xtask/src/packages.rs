//! The one list of Debian packages that tasks need, and their installation.

use std::{path::Path, process::Command};

use crate::{fault::Fault, process};

/// What needs a package.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// `cargo xtask build`.
    Build,
    /// `cargo xtask test`, all but fuzzing.
    Test,
    /// Building and running the fuzz targets.
    Fuzz,
    /// `cargo xtask bench`, beside what building needs.
    Bench,
    /// `cargo xtask demo`, beside what building needs.
    Demo,
}

/// One package.
struct Package {
    /// Its name in Debian 12.
    name: &'static str,
    /// A file that it installs, by which we see that it is there.
    file: &'static str,
    /// What for, in words that follow "to".
    why: &'static str,
    /// Which tasks need it.
    needed: &'static [For],
}

/// All packages, alphabetically.
const PACKAGES: &[Package] = &[
    Package {
        name: "binutils",
        file: "/usr/bin/objdump",
        why: "link, and disassemble what was built",
        needed: &[For::Build, For::Test],
    },
    Package {
        name: "g++",
        file: "/usr/bin/g++",
        why: "build libFuzzer",
        needed: &[For::Fuzz],
    },
    Package {
        name: "gcc",
        file: "/usr/bin/gcc",
        why: "link, and build the programs that tests load and rewrite",
        needed: &[For::Build, For::Bench, For::Test, For::Fuzz],
    },
    Package {
        name: "libc6-dev",
        file: "/usr/lib/x86_64-linux-gnu/libc.a",
        why: "link bannock-cas statically",
        needed: &[For::Build, For::Test, For::Fuzz],
    },
    Package {
        name: "libpython3.11-stdlib",
        file: "/usr/lib/python3.11/sqlite3/__init__.py",
        why: "run Python programs under Bannock",
        needed: &[For::Test],
    },
    Package {
        name: "mariadb-client-core",
        file: "/usr/bin/mariadb",
        why: "talk to MariaDB",
        needed: &[For::Test, For::Demo, For::Bench],
    },
    Package {
        name: "mariadb-server-core",
        file: "/usr/sbin/mariadbd",
        why: "have a MariaDB that starts no service of its own",
        needed: &[For::Test, For::Demo, For::Bench],
    },
    Package {
        name: "perl",
        file: "/usr/share/perl/5.36/File/Find.pm",
        why: "run Perl programs under Bannock",
        needed: &[For::Test],
    },
    Package {
        name: "python3-minimal",
        file: "/usr/bin/python3.11",
        why: "have a large program whose code tests analyse, and the demo's hostile program",
        needed: &[For::Test, For::Demo],
    },
    Package {
        name: "sysbench",
        file: "/usr/bin/sysbench",
        why: "load MariaDB in benchmarks",
        needed: &[For::Bench],
    },
    Package {
        name: "util-linux",
        file: "/usr/bin/unshare",
        why: "give tests of the launcher namespaces of their own",
        needed: &[For::Test, For::Demo, For::Bench],
    },
];

/// Installs what `task` needs and the machine lacks, saying which and why.
///
/// # Errors
/// When packages are missing and this program may not install them, or apt-get fails.
pub(crate) fn install_for(task: For) -> Result<(), Fault> {
    let missing: Vec<&Package> = needed(task)
        .filter(|package| !Path::new(package.file).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if !is_root()? {
        return Err(Fault::Packages(names.join(" ")));
    }
    for package in &missing {
        println!("installing {} to {}", package.name, package.why);
    }
    process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    process::run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(&names),
    )
}

fn needed(task: For) -> impl Iterator<Item = &'static Package> {
    PACKAGES
        .iter()
        .filter(move |package| package.needed.contains(&task))
}

fn is_root() -> Result<bool, Fault> {
    Ok(process::output(Command::new("id").arg("-u"))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_complete() {
        let names: Vec<&str> = PACKAGES.iter().map(|package| package.name).collect();
        assert!(names.is_sorted());
        for package in PACKAGES {
            assert!(package.file.starts_with('/'), "{}", package.name);
            assert!(!package.needed.is_empty(), "{}", package.name);
        }
        // A package that starts a service by itself must never be installed behind a user's back.
        assert!(!names.contains(&"mariadb-server"));
    }
}
