//! One caller and the instance that was started for it.

use crate::asker::{Asker, chain};
use crate::audit::{Record, isolation_names, launch_text};
use crate::server::Shared;
use crate::start::{self, Passed, StartFault, Wanted};
use crate::stream::{Arrival, Inbox, send_frame};
use bannock_launcher::{Caller, Ended, Instance, Launch, LaunchFault, Namespaces};
use bannock_wire::PROTOCOL_VERSION;
use bannock_wire::channel::{self, Hello};
use bannock_wire::las::{Control, Descriptor, MAX_MESSAGE, Reply, Start};
use bannock_wire::launch::LaunchIdentity;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a peer may keep the LAS waiting for one piece of a message or for room for a reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest config id in bytes (a session's and a service's name).
const MAX_CONFIG_ID: usize = 1024;

/// Name by which images are started: who asks for something must not choose what `ps` shows.
fn image_name(launch: &LaunchIdentity) -> &'static str {
    match launch {
        LaunchIdentity::Cas => "bannock-cas",
        LaunchIdentity::Standalone | LaunchIdentity::Service { .. } => "bannock-runtime",
    }
}

/// Why a start is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Start(#[from] StartFault),
    #[error(transparent)]
    Launch(#[from] LaunchFault),
    #[error(transparent)]
    Audit(#[from] crate::AuditFault),
    #[error("user {uid} starts instances too often; try again in {seconds} s")]
    Rate { uid: u32, seconds: u64 },
    #[error(
        "this LAS runs as user {own} and starts instances for that user alone, not for {uid}; run it as root for all"
    )]
    OtherUser { own: u32, uid: u32 },
    #[error("a config id is SESSION/SERVICE, printable and at most {MAX_CONFIG_ID} bytes long")]
    ConfigId,
    #[error("cannot prepare the channel of the instance")]
    Channel(#[source] io::Error),
}

/// Serves one connection to its end.
pub(crate) fn serve(shared: &Shared, socket: &UnixStream, caller: Caller) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let wanted = match start::receive(socket) {
        Ok(wanted) => wanted,
        Err(fault) => return refuse(shared, socket, caller, None, &fault.into()),
    };
    let (start, passed) = match wanted {
        None => return Ok(()),
        Some(Wanted::Status) => return send_frame(socket, &shared.status()),
        Some(Wanted::Start { start, passed }) => (start, passed),
    };
    let launch = launch_text(&start.launch);
    match Running::start(shared, &start, passed, caller) {
        Ok(running) => running.attend(socket),
        Err(refusal) => refuse(shared, socket, caller, Some(&launch), &refusal),
    }
}

fn refuse(
    shared: &Shared,
    socket: &UnixStream,
    caller: Caller,
    launch: Option<&str>,
    refusal: &Refusal,
) -> io::Result<()> {
    let reason = chain(refusal);
    let logged = shared.audit.append(&Record {
        event: "start-refused",
        uid: Some(caller.uid),
        launch,
        reason: Some(&reason),
        ..Record::default()
    });
    send_frame(socket, &Reply::Refused { reason })?;
    logged.map_err(io::Error::other)
}

/// A started instance with its channel.
struct Running<'a> {
    shared: &'a Shared,
    caller: Caller,
    launch: String,
    measurement: String,
    instance: Instance,
    asker: Asker,
    /// Nothing once the channel is closed, from either end.
    channel: Option<UnixStream>,
    inbox: Inbox,
}

impl<'a> Running<'a> {
    fn start(
        shared: &'a Shared,
        start: &Start,
        passed: Passed,
        caller: Caller,
    ) -> Result<Self, Refusal> {
        check(shared, start, caller)?;
        let source = passed.require(Descriptor::Image)?;
        let image = shared.images.get(source, caller.uid)?;
        let mut arguments = vec![image_name(&start.launch).to_owned()];
        arguments.extend(start.arguments.iter().cloned());
        let (own, theirs) = UnixStream::pair().map_err(Refusal::Channel)?;
        own.set_write_timeout(Some(PATIENCE))
            .map_err(Refusal::Channel)?;
        let instance = bannock_launcher::launch(&Launch {
            image: &image,
            arguments: &arguments,
            environment: &start.environment,
            caller,
            stdio: [
                passed.require(Descriptor::Stdin)?,
                passed.require(Descriptor::Stdout)?,
                passed.require(Descriptor::Stderr)?,
            ],
            channel: theirs.as_fd(),
            namespaces: Namespaces {
                mount: passed.get(Descriptor::MountNamespace),
                network: passed.get(Descriptor::NetworkNamespace),
                ipc: passed.get(Descriptor::IpcNamespace),
                uts: passed.get(Descriptor::UtsNamespace),
            },
            cgroup: passed.get(Descriptor::Cgroup),
        })?;
        let running = Self {
            shared,
            caller,
            launch: launch_text(&start.launch),
            measurement: hex::encode(instance.measurement()),
            asker: Asker::new(
                start.launch.clone(),
                instance.isolation(),
                instance.measurement(),
                Instant::now(),
            ),
            channel: Some(own),
            inbox: Inbox::new(channel::MAX_MESSAGE),
            instance,
        };
        // The instance waits for this greeting; without a record of it there is none.
        let isolation = isolation_names(running.instance.isolation());
        shared.audit.append(&Record {
            isolation: Some(&isolation),
            ..running.record("start")
        })?;
        running.greet(start.launch.clone());
        Ok(running)
    }

    fn greet(&self, launch: LaunchIdentity) {
        if let Some(channel) = &self.channel {
            // An instance that is over already needs no greeting; its end is noticed below.
            let _ = send_frame(
                channel,
                &Hello {
                    version: PROTOCOL_VERSION,
                    launch,
                    isolation: self.instance.isolation(),
                    measurement: self.instance.measurement(),
                },
            );
        }
    }

    fn record<'r>(&'r self, event: &'r str) -> Record<'r> {
        Record {
            event,
            uid: Some(self.caller.uid),
            pid: Some(self.instance.pid()),
            launch: Some(&self.launch),
            measurement: Some(&self.measurement),
            ..Record::default()
        }
    }

    /// Serves caller and instance until one of them is gone.
    fn attend(mut self, socket: &UnixStream) -> io::Result<()> {
        send_frame(
            socket,
            &Reply::Started {
                pid: self.instance.pid(),
                measurement: self.instance.measurement(),
            },
        )?;
        let mut controls = Inbox::new(MAX_MESSAGE);
        loop {
            let ready = self.wait_for_any(socket)?;
            if ready.channel {
                self.serve_channel()?;
            }
            if ready.ended {
                // What the instance said last is in the socket, and belongs into the log.
                self.serve_channel()?;
                return self.finish(socket);
            }
            if ready.caller {
                match controls.receive(socket)? {
                    Arrival::Nothing => {}
                    Arrival::Message(message) => self.control(&message)?,
                    Arrival::Closed => return self.end("caller-gone", "the caller is gone"),
                    Arrival::Oversize(oversize) => {
                        return self.end("caller-refused", &oversize.to_string());
                    }
                }
            }
        }
    }

    fn wait_for_any(&self, socket: &UnixStream) -> io::Result<Ready> {
        let watch = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut watched = vec![watch(self.instance.as_fd()), watch(socket.as_fd())];
        watched.extend(self.channel.as_ref().map(|fd| watch(fd.as_fd())));
        loop {
            match poll(&mut watched, None) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        let ready = |number: usize| {
            watched
                .get(number)
                .is_some_and(|fd| !fd.revents().is_empty())
        };
        Ok(Ready {
            ended: ready(0),
            caller: ready(1),
            channel: ready(2),
        })
    }

    /// Answers what has arrived on the channel.
    fn serve_channel(&mut self) -> io::Result<()> {
        while let Some(channel) = &self.channel {
            let message = match self.inbox.receive(channel)? {
                Arrival::Nothing => return Ok(()),
                Arrival::Closed => {
                    self.channel = None;
                    return Ok(());
                }
                Arrival::Message(message) => message,
                Arrival::Oversize(oversize) => {
                    let reason = oversize.to_string();
                    self.append(Record {
                        reason: Some(&reason),
                        ..self.record("request-refused")
                    })?;
                    let _ = send_frame(channel, &channel::Reply::Refused { reason });
                    self.channel = None;
                    return Ok(());
                }
            };
            let quoter = self.shared.quoter.as_ref();
            let response = match self.shared.quotes.take(self.caller.uid, Instant::now()) {
                Ok(()) => self.asker.answer(&message, quoter, Instant::now()),
                Err(wait) => Asker::overload(wait),
            };
            self.append(Record {
                reason: response.reason.as_deref(),
                ..self.record(response.event)
            })?;
            let sent = self
                .channel
                .as_ref()
                .is_some_and(|channel| send_frame(channel, &response.reply).is_ok());
            if !sent || !response.keep_open {
                self.channel = None;
            }
        }
        Ok(())
    }

    fn append(&self, record: Record<'_>) -> io::Result<()> {
        self.shared.audit.append(&record).map_err(io::Error::other)
    }

    fn control(&self, message: &[u8]) -> io::Result<()> {
        match bannock_wire::decode("control", message) {
            Ok(Control::Signal { number }) => {
                // A signal that the kernel refuses changes nothing; the caller keeps its instance.
                let _ = self.instance.signal(number);
                Ok(())
            }
            Err(malformed) => Err(io::Error::other(malformed)),
        }
    }

    /// Reports the end of the instance to its caller.
    fn finish(mut self, socket: &UnixStream) -> io::Result<()> {
        let ended = self.instance.wait()?;
        let (exit_code, signal) = match ended {
            Ended::Exited { code } => (Some(code), None),
            Ended::Killed { signal } => (None, Some(signal)),
        };
        self.append(Record {
            exit_code,
            signal,
            ..self.record("exit")
        })?;
        let reply = match ended {
            Ended::Exited { code } => Reply::Exited { code },
            Ended::Killed { signal } => Reply::Killed { signal },
        };
        send_frame(socket, &reply)
    }

    /// Ends the instance because of its caller.
    fn end(self, event: &str, reason: &str) -> io::Result<()> {
        self.instance.kill();
        self.append(Record {
            reason: Some(reason),
            ..self.record(event)
        })
    }
}

/// Who has something for the LAS.
struct Ready {
    ended: bool,
    caller: bool,
    channel: bool,
}

fn check(shared: &Shared, start: &Start, caller: Caller) -> Result<(), Refusal> {
    let own = rustix::process::geteuid().as_raw();
    if own != 0 && own != caller.uid {
        return Err(Refusal::OtherUser {
            own,
            uid: caller.uid,
        });
    }
    if let LaunchIdentity::Service { config_id, .. } = &start.launch {
        let printable = config_id.bytes().all(|b| b.is_ascii_graphic());
        if config_id.is_empty() || config_id.len() > MAX_CONFIG_ID || !printable {
            return Err(Refusal::ConfigId);
        }
    }
    shared
        .starts
        .take(caller.uid, Instant::now())
        .map_err(|wait| Refusal::Rate {
            uid: caller.uid,
            seconds: wait.as_secs() + 1,
        })
}
