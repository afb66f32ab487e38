//! `node-init register`: discover, enrol, burn in, sign, hand in.
//!
//! ```text
//! facts -> key -> enrolment -> certificate, attestation -> plan -> burn-in (child) -> journal -> signed report -> acknowledgement
//! ```
//!
//! Everything up to the acknowledgement can be interrupted at any instant and started again: the key stays, the enrolment
//! is idempotent, and a report that was written is sent again under its number before anything else is done.
//!
//! What it does not do: judge. A burn-in that failed is registered like any other, and the inventory judges the evidence
//! itself.

use std::time::Duration;

use report::node::CollectorStatus;
use report::text::clean;
use report::wire::{EnrolRequest, EnrolResponse, Identity, ReportAck, enrolment_context, signing_context};
use report::{NodeFacts, Plan};
use tracing::{info, warn};

use crate::cgroup::Cell;
use crate::clock::Monotonic;
use crate::phase::chain;

pub mod options;
pub mod token;
pub mod key;
pub mod journal;
pub mod burn_in;
pub mod backoff;
pub mod answer;
pub mod client;
pub mod result;
mod trust;
mod error;
mod interrupt;

pub use error::RegisterError;
pub use options::Options;
pub use result::Registration;

use backoff::{Attempt, Ended, Entropy, Retry};
use burn_in::BurnIn;
use client::{HttpsInventory, Inventory, SignedReport};
use interrupt::Interrupt;
use journal::{Journal, State, Step};
use key::NodeKey;
use token::Token;
use trust::Trust;

/// Who is told how a registration goes on.
pub trait Progress {
    /// Something was reached: `enrolled`, `burned-in`, `registered`.
    fn reached(&self, milestone: &'static str);
    /// The next word comes within this time, or the registration hangs.
    fn expect_within(&self, time: Duration);
}

/// Nobody.
impl Progress for () {
    fn reached(&self, _: &'static str) {}
    fn expect_within(&self, _: Duration) {}
}

/// One request with all its own deadlines, and a margin.
const REQUEST_MAX: Duration = Duration::from_secs(180);

/// Registers this node, from nothing to the inventory's acknowledgement. An operator can end it by signals.
pub fn run(options: &Options) -> Result<Registration, RegisterError> {
    let stop = Interrupt::watch().map_err(RegisterError::Signals)?;
    run_with(options, &stop, &(), None)
}

/// The same for PID 1, which handles signals by itself, and may bound the burn-in's memory.
pub fn run_as_init(
    options: &Options,
    progress: &dyn Progress,
    cell: Option<&Cell>,
) -> Result<Registration, RegisterError> {
    run_with(options, &Interrupt::never(), progress, cell)
}

fn run_with(
    options: &Options,
    stop: &Interrupt,
    progress: &dyn Progress,
    cell: Option<&Cell>,
) -> Result<Registration, RegisterError> {
    let token = options.token.read()?;
    let inventory = HttpsInventory::new(options.inventory.clone(), &options.ca)?;
    let state = State::open(&options.state)?;
    let key = NodeKey::load_or_make(state.dir())?;
    let facts = facts();
    let trust = Trust::open(options.tpm.as_deref());
    let boot_id = &facts.linux.as_ref().ok_or(RegisterError::NoBootId)?.boot_id;
    let (clock, mut entropy) = (Monotonic::start(), Entropy);
    let node = Node {
        options,
        token: &token,
        state: &state,
        key: &key,
        trust: &trust,
        facts: &facts,
        boot_id,
        stop,
        progress,
        cell,
    };
    let retry = Retry { clock: &clock, random: &mut entropy, patience: options.patience() };
    node.register(&inventory, retry)
}

/// The facts about this node; what should be there and could not be read is said aloud, since the node's identity may
/// lack it.
fn facts() -> NodeFacts {
    let facts = discover::collect(&discover::Root::machine());
    for collector in &facts.collectors {
        if matches!(
            collector.status,
            CollectorStatus::Denied | CollectorStatus::Timeout | CollectorStatus::Error
        ) {
            let detail = clean(collector.detail.as_deref().unwrap_or_default());
            warn!(probe = collector.name, detail, "some facts could not be read");
        }
    }
    facts
}

/// A node that registers.
struct Node<'a> {
    options: &'a Options,
    token: &'a Token,
    state: &'a State,
    key: &'a NodeKey,
    trust: &'a Trust,
    facts: &'a NodeFacts,
    boot_id: &'a str,
    stop: &'a Interrupt,
    progress: &'a dyn Progress,
    cell: Option<&'a Cell>,
}

/// A report with its number.
struct Written {
    sequence: u64,
    bytes: Vec<u8>,
}

impl Node<'_> {
    /// The story.
    fn register(
        &self,
        inventory: &dyn Inventory,
        mut retry: Retry<'_>,
    ) -> Result<Registration, RegisterError> {
        let mut journal = self.state.journal(self.boot_id)?;
        let enrolment = self.enrol(inventory, &mut retry)?;
        self.show_trust(inventory, &mut retry, &enrolment)?;
        let written = match self.saved_report(&mut journal)? {
            Some(written) => written,
            None => self.burn_in(&mut journal, &self.agreed_plan(&enrolment)?)?,
        };
        self.renew_certificate(inventory, &mut retry, &enrolment)?;
        let handed_in = self.hand_in(inventory, &mut retry, &enrolment, &written);
        if matches!(handed_in, Ok(_) | Err(RegisterError::Refused { .. })) {
            // A report that is refused for good must not stand in the way of the next one.
            journal.settled();
            self.state.save(&journal)?;
        }
        Ok(Registration {
            node_id: enrolment.node_id,
            boot_id: self.boot_id.to_owned(),
            sequence: written.sequence,
            ack: handed_in?,
        })
    }

    /// Asks the inventory to know this node. The same request again gets the same answer, so that it can be repeated
    /// after a crash although the token is good for one node only.
    fn enrol(
        &self,
        inventory: &dyn Inventory,
        retry: &mut Retry<'_>,
    ) -> Result<EnrolResponse, RegisterError> {
        let identity = Identity::of(self.facts);
        let token = self.token.expose();
        let request = EnrolRequest {
            token: token.to_owned(),
            public_key: self.key.public_hex(),
            boot_id: self.boot_id.to_owned(),
            proof: self.key.sign_hex(&enrolment_context(token, self.boot_id, &identity)),
            identity,
        };
        info!(inventory = %self.options.inventory, public_key = request.public_key, "enrolling");
        let enrolment = self.until_done(retry, "enrolling", || inventory.enrol(&request))?;
        // It goes into the path of a request.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !(1..=64).contains(&enrolment.node_id.len()) || !enrolment.node_id.bytes().all(plain) {
            return Err(RegisterError::NodeId { found: clean(&enrolment.node_id) });
        }
        info!(node = enrolment.node_id, state = clean(&enrolment.state), "enrolled");
        self.progress.reached("enrolled");
        Ok(enrolment)
    }

    /// The report of an earlier attempt of this boot that was not acknowledged.
    fn saved_report(&self, journal: &mut Journal) -> Result<Option<Written>, RegisterError> {
        let Step::Resend(pending) = journal.step() else { return Ok(None) };
        let sequence = pending.sequence;
        match burn_in::read_report(&self.state.run_dir(self.boot_id, sequence)) {
            Ok(bytes) if pending.is(&bytes) => {
                info!(sequence, "sending the report of an earlier attempt");
                return Ok(Some(Written { sequence, bytes }));
            }
            Ok(_) => warn!(sequence, "the report of an earlier attempt was altered: burning in again"),
            Err(error) => {
                warn!(
                    sequence,
                    error = chain(&error),
                    "the report of an earlier attempt is lost: burning in again"
                );
            }
        }
        journal.settled();
        self.state.save(journal)?;
        Ok(None)
    }

    /// The plan that the inventory asks for, which must be the very plan that is built in under its name.
    fn agreed_plan(&self, enrolment: &EnrolResponse) -> Result<Plan, RegisterError> {
        let plan = Plan::built_in(&enrolment.plan)?;
        let ours = plan.digest();
        if ours != enrolment.plan_digest {
            let theirs = clean(&enrolment.plan_digest);
            return Err(RegisterError::PlanDiffers { name: plan.name, ours, theirs });
        }
        if let Some(expected) = self.options.plan.as_ref().filter(|expected| **expected != plan.name) {
            warn!(expected, plan = plan.name, "the inventory asks for another plan, which is run");
        }
        Ok(plan)
    }

    /// Runs the burn-in and records its report. A report counts however `burnin` ended.
    fn burn_in(&self, journal: &mut Journal, plan: &Plan) -> Result<Written, RegisterError> {
        let sequence = journal.next_sequence;
        let out = self.state.run_dir(self.boot_id, sequence);
        let deadline = burn_in::deadline(plan, self.facts.gpus().count());
        info!(plan = plan.name, out = %out.display(), deadline_s = deadline.as_secs(), "burning in");
        let burn_in = BurnIn {
            program: &self.options.burnin,
            plan: &plan.name,
            out: &out,
            deadline,
            grace: burn_in::GRACE,
            cell: self.cell,
        };
        self.progress.expect_within(deadline + 4 * burn_in::GRACE + REQUEST_MAX);
        match self.stop.during(|stop| burn_in.run(stop))? {
            burn_in::Ended::Exited(status) => info!(%status, "burnin ended"),
            burn_in::Ended::Killed => warn!(deadline_s = deadline.as_secs(), "burnin hung and was ended"),
            burn_in::Ended::Unkillable => warn!("burnin hangs in the kernel: power-cycle the node"),
        }
        let bytes = burn_in.report()?;
        self.progress.reached("burned-in");
        journal.written(sequence, &bytes);
        self.state.save(journal)?;
        Ok(Written { sequence, bytes })
    }

    /// Signs the report for this enrolment and sends it to the byte as it was written.
    fn hand_in(
        &self,
        inventory: &dyn Inventory,
        retry: &mut Retry<'_>,
        enrolment: &EnrolResponse,
        written: &Written,
    ) -> Result<ReportAck, RegisterError> {
        let (sequence, bytes) = (written.sequence, &written.bytes[..]);
        let (node_id, boot_id) = (&enrolment.node_id[..], self.boot_id);
        let context = signing_context(node_id, boot_id, sequence, &enrolment.nonce, bytes);
        let signature = &self.key.sign_hex(&context);
        let report = SignedReport { node_id, boot_id, sequence, signature, bytes };
        info!(sequence, bytes = bytes.len(), "handing in the report");
        let ack = self.until_done(retry, "handing in the report", || inventory.put_report(report))?;
        self.progress.reached("registered");
        Ok(ack)
    }

    /// Tries again as long as it can help, and says each time why and how long it waits.
    fn until_done<T>(
        &self,
        retry: &mut Retry<'_>,
        doing: &'static str,
        attempt: impl FnMut() -> Attempt<T, answer::Failure>,
    ) -> Result<T, RegisterError> {
        self.progress.expect_within(REQUEST_MAX);
        let waiting = |cause: &answer::Failure, wait: Duration| {
            self.progress.expect_within(wait + REQUEST_MAX);
            warn!(error = chain(cause), wait_s = wait.as_secs_f64(), "{doing} failed, trying again");
        };
        retry.run(attempt, waiting).map_err(|ended| match ended {
            Ended::Refused(cause) => RegisterError::Refused { doing, cause },
            Ended::GaveUp(cause) => RegisterError::GaveUp { doing, cause },
        })
    }
}

#[cfg(test)]
mod tests;
