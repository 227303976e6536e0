use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

const SEND: &[u8] = b"eth_sendRawTransaction";

/// Stands before a node, passes everything on, and loses the answer to the first transaction: the
/// node has executed it, and the connection breaks.
#[derive(Debug)]
pub struct LossyRelay {
    address: SocketAddr,
    sends: Arc<AtomicU64>,
    listening: JoinHandle<io::Result<()>>,
}

impl LossyRelay {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn before(node: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, sends) = (listener.local_addr()?, Arc::new(AtomicU64::new(0)));
        let listening = tokio::spawn(listen(listener, node, Arc::clone(&sends)));
        Ok(Self { address, sends, listening })
    }

    /// Its URL for HTTP.
    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}", self.address)).expect("an address is a URL's host")
    }

    /// How many packets with a transaction it has passed on.
    pub fn sends(&self) -> u64 {
        self.sends.load(Relaxed)
    }
}

impl Drop for LossyRelay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, node: SocketAddr, sends: Arc<AtomicU64>) -> io::Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(relay(client, node, Arc::clone(&sends)));
    }
}

async fn relay(mut client: TcpStream, node: SocketAddr, sends: Arc<AtomicU64>) -> io::Result<()> {
    let mut node = TcpStream::connect(node).await?;
    let (mut question, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
    let mut loses = false;
    loop {
        tokio::select! {
            length = client.read(&mut question) => {
                let question = &question[..length?];
                if question.is_empty() {
                    return Ok(());
                }
                if question.windows(SEND.len()).any(|window| window == SEND) {
                    loses = sends.fetch_add(1, Relaxed) == 0;
                }
                node.write_all(question).await?;
            }
            length = node.read(&mut answer) => {
                let answer = &answer[..length?];
                if answer.is_empty() || loses {
                    return Ok(());
                }
                client.write_all(answer).await?;
            }
        }
    }
}
