//! `Cable`: a way to a server or an engine that can be cut, and that can fall silent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use socket2::Socket;

const OPEN: u8 = 0;
const CUT: u8 = 1;
const SILENT: u8 = 2;

/// A way that is open until it is cut. It is there until the test process ends.
#[derive(Debug)]
pub struct Cable {
    /// Where it begins: `127.0.0.1:PORT`.
    pub address: String,
    inside: Arc<Inside>,
}

#[derive(Debug)]
struct Inside {
    state: AtomicU8,
    to: Mutex<End>,
    open: Mutex<Vec<Arc<Socket>>>,
}

/// Where it ends.
#[derive(Clone, Debug)]
enum End {
    Socket(PathBuf),
    Address(String),
}

impl Cable {
    /// A way to a socket of this machine.
    pub fn to_socket(path: PathBuf) -> Cable {
        Cable::laid(End::Socket(path))
    }

    /// A way to the API at a URL, `http://HOST:PORT/api`.
    pub fn to_api(url: &str) -> Cable {
        Cable::laid(End::of_url(url))
    }

    /// From now on it leads to the API at this URL.
    pub fn leads_to(&self, url: &str) {
        *self.inside.to.lock().unwrap() = End::of_url(url);
    }

    /// The URL of an API that it leads to.
    pub fn url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    fn laid(to: End) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let inside = Arc::new(Inside { state: AtomicU8::new(OPEN), to: Mutex::new(to), open: Mutex::default() });
        let cable = Cable { address, inside: inside.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if inside.state.load(Ordering::SeqCst) != CUT
                    && let Some(far) = inside.far()
                {
                    inside.join(Socket::from(stream), far);
                }
            }
        });
        cable
    }

    /// Cuts all connections; new ones are cut as well until it is mended.
    pub fn cut(&self) {
        self.inside.state.store(CUT, Ordering::SeqCst);
        self.inside.open.lock().unwrap().drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    /// Lets nothing through until it is mended; then all of it arrives.
    pub fn fall_silent(&self) {
        self.inside.state.store(SILENT, Ordering::SeqCst);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.inside.state.store(OPEN, Ordering::SeqCst);
    }
}

impl End {
    fn of_url(url: &str) -> End {
        End::Address(url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned())
    }
}

impl Inside {
    /// A connection at the other end, if anybody listens there.
    fn far(&self) -> Option<Socket> {
        let to = self.to.lock().unwrap().clone();
        match to {
            End::Socket(path) => UnixStream::connect(path).map(Socket::from).ok(),
            End::Address(address) => TcpStream::connect(address).map(Socket::from).ok(),
        }
    }

    /// Passes on what comes from either side, until both have ended.
    fn join(self: &Arc<Inside>, near: Socket, far: Socket) {
        let (near, far) = (Arc::new(near), Arc::new(far));
        let mut open = self.open.lock().unwrap();
        open.retain(|stream| Arc::strong_count(stream) > 1);
        open.push(near.clone());
        drop(open);
        for (from, to) in [(near.clone(), far.clone()), (far, near)] {
            let inside = self.clone();
            std::thread::spawn(move || {
                inside.pass(&from, &to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    }

    fn pass(&self, mut from: &Socket, mut to: &Socket) {
        let mut buffer = [0; 1 << 14];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            while self.state.load(Ordering::SeqCst) == SILENT {
                sleep(Duration::from_millis(10));
            }
            if to.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    }
}
