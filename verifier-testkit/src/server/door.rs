//! The socket and the thread behind it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::endpoints::serve;
use super::state::State;

/// Commands the thread; ends it when dropped.
pub(super) struct Door {
    address: SocketAddr,
    commands: UnboundedSender<(Command, Done)>,
    thread: Option<JoinHandle<()>>,
}

type Done = SyncSender<io::Result<()>>;

enum Command {
    Refuse,
    Accept,
    CloseConnections,
    Stop,
}

impl Door {
    pub(super) fn open(listener: StdListener, state: Arc<State>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (commands, received) = unbounded_channel();
        let (started, wait) = sync_channel(1);
        // The runtime is made on the thread: one that was dropped here, after a failure, would panic inside another.
        let run = move || {
            let begun =
                tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                    let inside = runtime.enter();
                    let listener = TcpListener::from_std(listener)?;
                    drop(inside);
                    Ok((runtime, listener))
                });
            match begun {
                Err(error) => drop(started.send(Err(error))),
                Ok((runtime, listener)) => {
                    drop(started.send(Ok(())));
                    let socket = Socket::Listening(listener);
                    runtime
                        .block_on(Room { address, socket, connections: JoinSet::new(), state }.run(received));
                }
            }
        };
        let thread = std::thread::Builder::new().name("authorization-server".to_owned()).spawn(run)?;
        wait.recv().map_err(|_| gone())??;
        Ok(Self { address, commands, thread: Some(thread) })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn refuse(&self) {
        // Refusing can't fail: without a reserved port nobody listens either.
        let _ = self.command(Command::Refuse);
    }

    pub(super) fn accept(&self) -> io::Result<()> {
        self.command(Command::Accept)
    }

    pub(super) fn close_connections(&self) {
        let _ = self.command(Command::CloseConnections);
    }

    /// Returns once it has been done.
    fn command(&self, command: Command) -> io::Result<()> {
        let (done, wait) = sync_channel(1);
        self.commands.send((command, done)).map_err(|_| gone())?;
        wait.recv().map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the authorization server has stopped")
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What lives on the thread.
struct Room {
    address: SocketAddr,
    socket: Socket,
    connections: JoinSet<()>,
    state: Arc<State>,
}

enum Socket {
    Listening(TcpListener),
    /// Bound and not listening: connections are refused, and the system doesn't give the port away.
    Reserved(TcpSocket),
    Closed,
}

impl Room {
    async fn run(mut self, mut commands: UnboundedReceiver<(Command, Done)>) {
        loop {
            tokio::select! {
                stream = next(&self.socket) => self.connected(stream),
                Some(_) = self.connections.join_next() => {}
                command = commands.recv() => match command {
                    None => return,
                    Some((Command::Stop, done)) => {
                        self.socket = Socket::Closed;
                        self.connections.shutdown().await;
                        let _ = done.send(Ok(()));
                        return;
                    }
                    Some((Command::Refuse, done)) => {
                        self.refuse();
                        self.connections.shutdown().await;
                        let _ = done.send(Ok(()));
                    }
                    Some((Command::Accept, done)) => {
                        let _ = done.send(self.listen());
                    }
                    Some((Command::CloseConnections, done)) => {
                        self.connections.shutdown().await;
                        let _ = done.send(Ok(()));
                    }
                },
            }
        }
    }

    fn connected(&mut self, stream: TcpStream) {
        self.state.book.connected();
        let state = Arc::clone(&self.state);
        self.connections.spawn(async move {
            // Small answers should not wait for more.
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| serve(Arc::clone(&state), request));
            // An error is a client that went away, or a fault by script.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }

    fn refuse(&mut self) {
        if let Socket::Listening(_) = self.socket {
            self.socket = Socket::Closed;
            self.socket = bind(self.address).map_or(Socket::Closed, Socket::Reserved);
        }
    }

    fn listen(&mut self) -> io::Result<()> {
        let socket = match std::mem::replace(&mut self.socket, Socket::Closed) {
            Socket::Listening(listener) => {
                self.socket = Socket::Listening(listener);
                return Ok(());
            }
            Socket::Reserved(socket) => socket,
            Socket::Closed => bind(self.address)?,
        };
        self.socket = Socket::Listening(socket.listen(1024)?);
        Ok(())
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // The connections that were just closed would keep the port busy otherwise.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn next(socket: &Socket) -> TcpStream {
    if let Socket::Listening(listener) = socket {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return stream,
                // Out of descriptors, or the client is gone already: others shall have their turn.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
    std::future::pending().await
}
