//! `bannock cas serve`.

use crate::failure::{Because as _, Failure};
use crate::las::{self, Plan};
use crate::state::{SYSTEM_LAS_SOCKET, create_private_dir, state_dir};
use bannock_wire::launch::LaunchIdentity;
use std::net::SocketAddr;
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;

/// File name of the CAS's image.
const IMAGE: &str = "bannock-cas";

/// Lets the LAS measure and start `bannock-cas`, forwards signals to it, and stays until it ends.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// Where the CAS listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Directory of its sealed store; in the state directory when absent
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Its audit log; beside the store's files when absent
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Socket of the LAS
    #[arg(long, value_name = "SOCKET", env = "BANNOCK_LAS_ADDR", default_value = SYSTEM_LAS_SOCKET)]
    las: PathBuf,
    /// The CAS to start; the `bannock-cas` beside this program when absent
    #[arg(long, value_name = "FILE", env = "BANNOCK_CAS_IMAGE")]
    image: Option<PathBuf>,
    /// Serve sessions whose attestation mode is `none`: their secrets go to anyone who asks
    #[arg(long)]
    insecure_allow_unattested: bool,
}

pub(super) fn run(serve: &Serve) -> Result<ExitCode, Failure> {
    let store = match &serve.store {
        Some(store) => store.clone(),
        None => state_dir()?.join("cas"),
    };
    // Made here, as this user: the CAS runs as an unprivileged one of the same files.
    create_private_dir(&store)?;
    let mut arguments = vec![
        "--listen".to_owned(),
        serve.listen.to_string(),
        "--store".to_owned(),
        absolute(&store)?,
    ];
    if let Some(audit) = &serve.audit {
        arguments.extend(["--audit".to_owned(), absolute(audit)?]);
    }
    if serve.insecure_allow_unattested {
        arguments.push("--insecure-allow-unattested".to_owned());
    }
    las::run(&Plan {
        socket: &serve.las,
        image: &image(serve.image.as_deref())?,
        launch: LaunchIdentity::Cas,
        arguments,
        environment: Vec::new(),
    })
}

/// The CAS has another working directory, so that relative paths would be others.
fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute =
        path::absolute(path).because(|| format!("cannot make `{}` absolute", path.display()))?;
    absolute.into_os_string().into_string().map_err(|path| {
        Failure::usage(format!(
            "the path `{}` is not UTF-8",
            Path::new(&path).display()
        ))
    })
}

fn image(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let own = std::env::current_exe().because(|| "cannot find this program's file".to_owned())?;
    let image = own.with_file_name(IMAGE);
    if image.is_file() {
        return Ok(image);
    }
    Err(Failure::from(format!("there is no `{}`", image.display()))
        .help("install `bannock-cas` beside `bannock`, or name it with --image"))
}
