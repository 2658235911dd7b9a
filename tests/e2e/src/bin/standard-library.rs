//! Uses Rust's standard library as programs do; a differential test runs it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

fn main() {
    let (sender, receiver) = mpsc::channel();
    let barrier = Arc::new(Barrier::new(8));
    let counts = Arc::new((Mutex::new(BTreeMap::new()), Condvar::new()));
    for me in 0..8u32 {
        let (sender, barrier, counts) = (sender.clone(), Arc::clone(&barrier), Arc::clone(&counts));
        thread::spawn(move || {
            barrier.wait();
            for _ in 0..1000 {
                *counts.0.lock().unwrap().entry(me % 4).or_insert(0) += 1;
            }
            counts.1.notify_all();
            sender.send(me).unwrap();
        });
    }
    drop(sender);
    println!("{} from threads", receiver.iter().sum::<u32>());
    println!("{:?}", counts.0.lock().unwrap());
    std::panic::set_hook(Box::new(|_| ()));
    println!(
        "{:?}",
        thread::spawn(|| panic!("on purpose")).join().is_err()
    );

    let mut child = Command::new("/bin/cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"through a child")
        .unwrap();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    println!("{text}: {}", child.wait().unwrap());
    println!(
        "{}",
        Command::new("/bin/sh")
            .args(["-c", "kill -9 $$"])
            .status()
            .unwrap()
    );
    println!(
        "{:?}",
        Command::new("/nonexistent").spawn().unwrap_err().kind()
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        (&stream).write_all(line.to_uppercase().as_bytes()).unwrap();
    });
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"over tcp\n").unwrap();
    text.clear();
    client.read_to_string(&mut text).unwrap();
    server.join().unwrap();
    print!("{text}");
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams
        .set_read_timeout(Some(Duration::from_millis(10)))
        .unwrap();
    println!("{:?}", datagrams.recv(&mut [0]).unwrap_err().kind());
    let (mut one, mut other) = UnixStream::pair().unwrap();
    one.write_all(b"pair").unwrap();
    drop(one);
    text.clear();
    other.read_to_string(&mut text).unwrap();
    println!("{text}");

    fs::create_dir_all("a/b").unwrap();
    let mut file = fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open("a/b/file")
        .unwrap();
    file.write_all(b"0123456789").unwrap();
    file.seek(SeekFrom::Start(5)).unwrap();
    file.set_len(8).unwrap();
    text.clear();
    file.read_to_string(&mut text).unwrap();
    println!("{text} {}", file.metadata().unwrap().len());
    file.lock().unwrap();
    println!(
        "{:?}",
        fs::File::open("a/b/file").unwrap().try_lock().is_err()
    );
    fs::rename("a/b/file", "a/renamed").unwrap();
    let mut names: Vec<_> = fs::read_dir("a")
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    println!("{names:?} {:?}", fs::read("missing").unwrap_err().kind());
    println!(
        "{}",
        fs::canonicalize("a/../a/b").unwrap().ends_with("work/a/b")
    );
    println!("{:?}", env::current_exe().unwrap().file_name());
    println!("{:?}", env::vars().collect::<Vec<_>>());
    let start = Instant::now();
    thread::sleep(Duration::from_millis(10));
    println!("{}", start.elapsed() >= Duration::from_millis(10));
    println!("{}", thread::available_parallelism().unwrap().get() >= 1);
    std::process::exit(17);
}
