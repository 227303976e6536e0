//! The handles on what a layer counts, at the recorder that is installed.

use crate::{end::End, ring::Ring};
use alclad_core::{Method, names};
use arc_swap::ArcSwapOption;
use metrics::{Counter, Gauge, Histogram, IntoF64, Key, Label, Level, Metadata, with_recorder};
use std::{
    cell::Cell,
    ptr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Which recorder it is: where it lies, and how large it is.
type Identity = (usize, usize);

/// Registers what it counts with the recorder that is installed, anew when another one is.
pub(crate) struct Series {
    /// Where a recorder lies that records nothing.
    silent: AtomicUsize,
    handles: ArcSwapOption<Handles>,
}

/// Registered once, and the methods and ends when they first occur.
pub(crate) struct Handles {
    recorder: Identity,
    ring: Ring,
    pub(crate) in_flight: Gauge,
    pub(crate) batch_size: Histogram,
    methods: Box<[OnceLock<OfMethod>]>,
}

pub(crate) struct OfMethod {
    ended: [OnceLock<Counter>; End::ROWS],
    pub(crate) duration: Histogram,
    pub(crate) request_bytes: Counter,
    pub(crate) response_bytes: Counter,
}

// === impl Series ===

impl Series {
    pub(crate) const fn new() -> Self {
        Self { silent: AtomicUsize::new(0), handles: ArcSwapOption::const_empty() }
    }

    /// The handles; none if nobody records.
    pub(crate) fn handles(&self, ring: &Ring) -> Option<Arc<Handles>> {
        let recorder = installed();
        // The one that stands for none is of no size.
        if recorder == (self.silent.load(Relaxed), 0) {
            return None;
        }
        match &*self.handles.load() {
            Some(handles) if handles.recorder == recorder => return Some(Arc::clone(handles)),
            _ => {}
        }
        let handles = Arc::new(Handles::new(recorder, ring));
        if recorder.1 == 0 && !records(&handles.in_flight) {
            self.silent.store(recorder.0, Relaxed);
            return None;
        }
        self.handles.store(Some(Arc::clone(&handles)));
        Some(handles)
    }
}

fn installed() -> Identity {
    with_recorder(|recorder| (ptr::from_ref(recorder).cast::<()>().addr(), size_of_val(recorder)))
}

/// Whether anybody looks at what the gauge is given: nothing is added to it.
fn records(gauge: &Gauge) -> bool {
    struct Asked<'a>(&'a Cell<bool>);
    impl IntoF64 for Asked<'_> {
        fn into_f64(self) -> f64 {
            self.0.set(true);
            0.0
        }
    }
    let asked = Cell::new(false);
    gauge.increment(Asked(&asked));
    asked.get()
}

// === impl Handles ===

impl Handles {
    fn new(recorder: Identity, ring: &Ring) -> Self {
        let names = ring.names();
        let methods = (0..Method::ROWS).map(|_| OnceLock::new()).collect();
        let (in_flight, batch_size) = with_recorder(|recorder| {
            let in_flight = recorder.register_gauge(&key(names.in_flight, ring, &[]), &METADATA);
            let size = recorder.register_histogram(&key(names.batch_size, ring, &[]), &METADATA);
            (in_flight, size)
        });
        Self { recorder, ring: ring.clone(), in_flight, batch_size, methods }
    }

    /// What is counted of a method, by the [row](Method::row) and the name in the table.
    pub(crate) fn of(&self, row: usize, method: &'static str) -> &OfMethod {
        self.methods[row].get_or_init(|| {
            let (ring, names) = (&self.ring, self.ring.names());
            let method = [Label::from_static_parts(names::METHOD, method)];
            let counter = |name| {
                self.register(Counter::noop, |recorder| {
                    recorder.register_counter(&key(name, ring, &method), &METADATA)
                })
            };
            OfMethod {
                ended: [const { OnceLock::new() }; End::ROWS],
                duration: self.register(Histogram::noop, |recorder| {
                    recorder.register_histogram(&key(names.duration, ring, &method), &METADATA)
                }),
                request_bytes: counter(names.request_bytes),
                response_bytes: counter(names.response_bytes),
            }
        })
    }

    /// Counts calls of a method that ended so.
    pub(crate) fn count(&self, of: &OfMethod, method: &'static str, end: End) {
        let ended = of.ended[end.row()].get_or_init(|| {
            let labels = [(names::METHOD, method), (names::OUTCOME, end.name())];
            let labels = labels.map(|(name, value)| Label::from_static_parts(name, value));
            self.register(Counter::noop, |recorder| {
                let key = key(self.ring.names().ended, &self.ring, &labels);
                recorder.register_counter(&key, &METADATA)
            })
        });
        ended.increment(1);
    }

    /// If the recorder is still there.
    fn register<T>(
        &self,
        noop: impl FnOnce() -> T,
        register: impl FnOnce(&dyn metrics::Recorder) -> T,
    ) -> T {
        match installed() == self.recorder {
            true => with_recorder(register),
            false => noop(),
        }
    }
}

fn key(name: &'static str, ring: &Ring, labels: &[Label]) -> Key {
    let endpoint = ring.endpoint().map(|id| Label::new(names::ENDPOINT, id.as_str().to_owned()));
    Key::from_parts(name, endpoint.into_iter().chain(labels.iter().cloned()).collect::<Vec<_>>())
}

const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
