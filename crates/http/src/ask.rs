//! One packet on its way out, and its answer's way back.

use crate::{
    body::Body, departure::Departure, reply::Reply, retry_after::retry_after, transport::Settings,
};
use alclad_core::note;
use alloy_json_rpc::{RequestMeta, RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, utils::to_json_raw_value};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// What tokio takes for "never".
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

pub(crate) async fn ask(
    settings: Arc<Settings>,
    packet: RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    if packet.is_empty() {
        return Ok(ResponsePacket::Batch(Vec::new()));
    }
    note::record(|note| {
        note.endpoint.get_or_insert_with(|| settings.endpoint.clone());
    });
    let is_watched = settings.url.scheme() == "http" && settings.link.is_own();
    let mut departure = is_watched.then(|| Departure::of(&packet, &settings.endpoint));
    let (question, json) = Question::of(packet)?;
    let client = settings
        .link
        .client(settings.url.scheme() == "https")
        .map_err(|why| settings.no_client(why));
    let client = client.inspect_err(|_| settle(&mut departure))?;
    let now = Instant::now();
    let deadline = now.checked_add(settings.timeout).unwrap_or(now + FAR);
    let request = question.request(&settings, json, departure.as_ref());
    let answer = match timeout_at(deadline, client.execute(request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            if error.is_connect() || error.is_builder() {
                settle(&mut departure);
            }
            return Err(settings.no_answer(error));
        }
        Err(_) => return Err(settings.late(Some(settings.timeout))),
    };
    settle(&mut departure);
    let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
    note::record(|note| {
        note.http_status = Some(status.as_u16());
        note.retry_after = retry_after;
    });
    let reply = Reply { settings: &settings, question: &question, status, retry_after };
    let body = Body::read(answer, reply.bound(), deadline).await;
    tracing::debug!(status = status.as_u16(), bytes = body.bytes.len(), "answered");
    reply.read(body)
}

fn settle(departure: &mut Option<Departure>) {
    departure.iter_mut().for_each(Departure::settle);
}

/// What is kept of a packet until it is answered.
pub(crate) struct Question {
    /// The headers that the caller gave this packet.
    pub(crate) headers: HeaderMap,
    /// `None` for a batch.
    pub(crate) single: Option<RequestMeta>,
}

impl Question {
    /// A single request's JSON is moved and not copied.
    fn of(packet: RequestPacket) -> Result<(Self, Box<RawValue>), TransportError> {
        let mut headers = packet.headers();
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        match packet {
            RequestPacket::Single(request) => {
                let (meta, json) = request.decompose();
                Ok((Self { headers, single: Some(meta) }, json))
            }
            RequestPacket::Batch(requests) => {
                let json = to_json_raw_value(&requests)?;
                Ok((Self { headers, single: None }, json))
            }
        }
    }

    fn request(
        &self,
        settings: &Settings,
        json: Box<RawValue>,
        departure: Option<&Departure>,
    ) -> reqwest::Request {
        let mut request = reqwest::Request::new(Method::POST, settings.url.clone());
        *request.headers_mut() = settings.headers.clone();
        request.headers_mut().extend(self.headers.clone());
        let bytes = Bytes::from(String::from(Box::<str>::from(json)));
        *request.body_mut() = Some(match departure {
            Some(departure) => departure.body(bytes),
            None => bytes.into(),
        });
        request
    }
}
