//! How the control plane begins and ends.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use causeway_tunnel::{
    message::{Bye, ByeReason},
    sa::Limits,
    session::Endpoint,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tracing::info;

use super::{
    Control, Parts, alarms::Alarms, announce::Announcer, api, context::Context, event::Event,
    multicast::Multicast, next_hops, one_way::OneWay, own_addresses, peer::Peer, sightings,
    snooping::Snooping, suspects::Suspects, uplink_devices,
};
use crate::{
    lan_port::RxFilter,
    uplink::{Gro, NextHops},
    worker::WorkerHandle,
};

/// How long clients of the control socket have to read what they are told at the stop.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

impl Control {
    pub(super) fn new(parts: Parts, events: mpsc::Sender<Event>) -> Self {
        let mut parts = parts;
        let context = Context {
            workers: parts.workers.iter().map(WorkerHandle::sender).collect(),
            limits: Limits::default(),
            libraries: (parts.libraries.seal, parts.libraries.open),
            sa_log: parts.sa_log.take(),
            in_use: Mutex::default(),
        };
        Self {
            context: Arc::new(context),
            peers: parts.config.peers.iter().cloned().map(Peer::new).collect(),
            snooping: Snooping::new(parts.config.role, parts.config.peers.len()),
            multicast: Multicast::new(parts.config.peers.len()),
            announcer: Announcer::default(),
            stations: parts.segment.table(),
            hellos: Arc::clone(&parts.hellos),
            suspects: Suspects::new(parts.program.injected(), Instant::now()),
            alarms: Alarms::default(),
            own_addresses: HashSet::new(),
            wanted: watch::Sender::default(),
            next_hops: NextHops::default(),
            uplink_is_gone: false,
            gro: Gro::new(parts.config.uplink_gro),
            started: Instant::now(),
            next_session: 0,
            next_look: Instant::now(),
            one_way: OneWay::default(),
            probes_until: None,
            refusal_logged: None,
            clients: Arc::new(Semaphore::new(api::CLIENTS)),
            events,
            parts,
        }
    }

    pub(super) fn start_tasks(&mut self) -> Result<(), String> {
        let events = self.events.clone();
        tokio::spawn(own_addresses::watch(self.parts.lan.index, events));
        if let Some(sightings) = self.parts.program.sightings() {
            tokio::spawn(sightings::watch(sightings, self.events.clone()));
        }
        let (wanted, events) = (self.wanted.subscribe(), self.events.clone());
        match &self.parts.uplink {
            Some(port) => tokio::spawn(next_hops::watch(port.device.index, wanted, events)),
            None => tokio::spawn(uplink_devices::watch(wanted, events)),
        };
        let socket = self.parts.control_socket.try_clone();
        let socket = socket.map_err(|e| format!("cannot open the control socket: {e}"))?;
        tokio::spawn(api::serve(
            socket,
            self.events.clone(),
            Arc::clone(&self.clients),
        ));
        tokio::spawn(accept(self.parts.endpoint.clone(), self.events.clone()));
        Ok(())
    }

    /// Farewell to all peers, the workers finish their batch, the port is left as it was found.
    pub(super) async fn stop(mut self) {
        info!("stopping");
        let kept = self.keep_last();
        self.parts.program.detach();
        if let Some(port) = &mut self.parts.uplink {
            port.program.detach();
        }
        for worker in &mut self.parts.workers {
            worker.stop();
        }
        self.parts.rx_filter = RxFilter::Nothing;
        self.parts.stripping.restore();
        self.parts.lan_port.close();
        self.gro.restore();
        self.parts
            .endpoint
            .close(Bye::new(ByeReason::Shutdown, ""))
            .await;
        // A slow disk keeps nothing of the above waiting.
        let _ = kept.await;
        // Whoever asked for what is kept now is told so.
        let clients = self.clients.acquire_many(api::CLIENTS as u32);
        let _ = timeout(LAST_ANSWERS, clients).await;
    }
}

/// Passes on who calls us.
async fn accept(endpoint: Arc<Endpoint>, events: mpsc::Sender<Event>) {
    while let Some(result) = endpoint.accept().await {
        let event = match result {
            Ok(session) => Event::Accepted(session),
            Err(error) => Event::AcceptFailed(error),
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}
