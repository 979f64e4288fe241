//! The Campfire that both sides serve: it takes posts, as v1.4.9 does, and nothing else.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::post,
    serve::ListenerExt as _,
};
use tokio::{net::TcpListener, sync::mpsc};

/// Posts that a room may have waiting for whoever reads them; further ones are only counted.
const WAITING: usize = 64;

/// A message that a bot posted.
pub(crate) struct Post {
    pub(crate) at: Instant,
    pub(crate) body: Bytes,
}

/// It serves until this process ends.
#[derive(Clone)]
pub(crate) struct Campfire {
    pub(crate) address: SocketAddr,
    rooms: Arc<Rooms>,
}

#[derive(Default)]
struct Rooms {
    readers: Mutex<HashMap<u64, mpsc::Sender<Post>>>,
    posts: AtomicU64,
}

impl Campfire {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let rooms = Arc::new(Rooms::default());
        let listener = listener.tap_io(|connection| {
            connection.set_nodelay(true).expect("no delay on loopback");
        });
        let routes = Router::new()
            .route("/rooms/{room}/{key}/messages", post(take).get(async || StatusCode::NOT_FOUND))
            .with_state(Arc::clone(&rooms));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, rooms }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Reads what is posted in a room from now on, in the place of an earlier reader.
    pub(crate) fn read(&self, room: u64) -> mpsc::Receiver<Post> {
        let (reader, posts) = mpsc::channel(WAITING);
        self.rooms.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(room, reader);
        posts
    }

    /// How many messages were posted so far, in all rooms.
    pub(crate) fn posts(&self) -> u64 {
        self.rooms.posts.load(Ordering::Relaxed)
    }
}

async fn take(
    State(rooms): State<Arc<Rooms>>,
    Path((room, _key)): Path<(u64, String)>,
    body: Bytes,
) -> impl IntoResponse {
    let at = Instant::now();
    let number = rooms.posts.fetch_add(1, Ordering::Relaxed);
    if let Some(reader) = rooms.readers.lock().unwrap_or_else(PoisonError::into_inner).get(&room) {
        // Nobody reads, or not fast enough: it is counted.
        let _ = reader.try_send(Post { at, body });
    }
    (StatusCode::CREATED, [(header::LOCATION, format!("http://campfire/messages/{}", 1_000_000 + number))])
}
