//! WebSocket.

use super::{
    connection::{Breaker, Connection},
    request::Messages,
};
use crate::{
    SimNode,
    node::{
        Feeds,
        disruption::HttpBody,
        receive::{Delivery, HTML},
        wire,
    },
    rpc::View,
};
use futures::{SinkExt, StreamExt, stream::FuturesUnordered};
use std::{
    future::pending,
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Error, Message},
};

/// Answers one connection until either side ends it. Calls that wait do not hold up others.
pub(super) async fn serve(node: SimNode, connection: Connection) {
    let breaker = connection.breaker();
    let Ok(mut socket) = accept_async(connection).await else { return };
    let session = Mutex::new(Feeds::new(1));
    let mut working = FuturesUnordered::new();
    let (mut mined, mut changed) = (node.chain().changes(), node.changes());
    loop {
        let sent = tokio::select! {
            // A new subscription is confirmed before its first notification.
            biased;
            Some(outcome) = working.next() => match outcome {
                ControlFlow::Continue(text) => socket.send(Message::text(text)).await,
                ControlFlow::Break(()) => return,
            },
            Ok(()) = mined.changed() => notify(&node, &session, &mut socket).await,
            Ok(()) = changed.changed() => notify(&node, &session, &mut socket).await,
            received = socket.next() => match received {
                Some(Ok(Message::Text(text))) => {
                    working.push(answer(&node, text.as_str().to_owned(), &session, &breaker));
                    continue;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The text to send, or the end of the connection.
async fn answer(
    node: &SimNode,
    text: String,
    session: &Mutex<Feeds>,
    breaker: &Breaker,
) -> ControlFlow<(), String> {
    let messages = match Messages::parse(text.as_bytes()) {
        Ok(messages) => messages,
        Err(error) => return ControlFlow::Continue(error),
    };
    match node.receive(&messages.calls(), messages.batch, Some(session)).await {
        Delivery::Answers(members) => ControlFlow::Continue(messages.write(&members)),
        Delivery::Truncated(members) => ControlFlow::Continue(wire::half(messages.write(&members))),
        Delivery::Html => ControlFlow::Continue(HTML.to_owned()),
        Delivery::Http(own) => match own.body {
            HttpBody::Error(error) => ControlFlow::Continue(messages.write_error(&error)),
            HttpBody::Text(_) => ControlFlow::Break(()),
        },
        Delivery::Refused | Delivery::Lost => ControlFlow::Break(()),
        Delivery::Cut(_) => {
            breaker.reset();
            ControlFlow::Break(())
        }
        Delivery::Endless => pending().await,
    }
}

/// Tells subscribers what they have not seen yet.
async fn notify(
    node: &SimNode,
    session: &Mutex<Feeds>,
    socket: &mut WebSocketStream<Connection>,
) -> Result<(), Error> {
    if node.is_silent() {
        return Ok(());
    }
    for notification in notifications(node, session) {
        socket.feed(Message::text(notification)).await?;
    }
    socket.flush().await
}

fn notifications(node: &SimNode, session: &Mutex<Feeds>) -> Vec<String> {
    let (chain, sight) = node.standing();
    let ledger = chain.ledger();
    let view = View::new(chain.spec(), &ledger, &sight);
    let news = session.lock().unwrap_or_else(PoisonError::into_inner).news(view);
    let notifications = news.into_iter().map(|(id, result)| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{id:#x}","result":{result}}}}}"#
        )
    });
    notifications.collect()
}
