//! `Door`: a port of this machine that refuses connections while it is shut, as that of a server that is away does.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};

use socket2::{Domain, Socket, Type};

/// A door before a server.
pub struct Door {
    /// The server's address through it, `http://HOST:PORT/PATH`.
    pub url: String,
    address: SocketAddr,
    behind: String,
    /// Has the port and never listens: nobody else gets it while the door is shut.
    _kept: Socket,
    open: Option<Open>,
}

/// Lets connections through.
struct Open {
    ends: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    accepts: JoinHandle<()>,
}

impl Door {
    /// A shut one before the server at `url`, `http://HOST:PORT` and whatever follows.
    pub fn before(url: &str) -> Door {
        let rest = url.strip_prefix("http://").unwrap();
        let (behind, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let kept = bound((Ipv4Addr::LOCALHOST, 0).into());
        let address = kept.local_addr().unwrap().as_socket().unwrap();
        Door { url: format!("http://{address}{path}"), address, behind: behind.to_owned(), _kept: kept, open: None }
    }

    /// Opens it.
    pub fn open(&mut self) {
        let listener = bound(self.address);
        listener.listen(64).unwrap();
        let (ends, streams) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (listener, behind) = (TcpListener::from(listener), self.behind.clone());
        let (ending, into) = (Arc::clone(&ends), Arc::clone(&streams));
        let accepts = spawn(move || {
            for client in listener.incoming().flatten() {
                if ending.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(server) = TcpStream::connect(&behind) else { continue };
                let mut streams = into.lock().unwrap();
                streams.extend([&client, &server].map(|stream| stream.try_clone().unwrap()));
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                spawn(move || pass(&mut from, &mut to, |to| to.shutdown(Shutdown::Write)));
                let (mut from, mut to) = (server, client);
                spawn(move || pass(&mut from, &mut to, |to| to.shutdown(Shutdown::Write)));
            }
        });
        self.open = Some(Open { ends, streams, accepts });
    }

    /// Shuts it: what was connected is cut off, and new connections are refused.
    pub fn shut(&mut self) {
        let Some(Open { ends, streams, accepts }) = self.open.take() else { return };
        ends.store(true, Ordering::SeqCst);
        // Whoever waits for a connection has to see it.
        drop(TcpStream::connect(self.address));
        accepts.join().unwrap();
        streams.lock().unwrap().drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

/// Carries bytes one way until they end.
pub fn pass<T: Write>(from: &mut impl Read, to: &mut T, end: impl Fn(&T) -> std::io::Result<()>) {
    let _ = std::io::copy(from, to);
    let _ = end(to);
}
