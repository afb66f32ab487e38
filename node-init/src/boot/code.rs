//! From the error of a registration to the word that stands on the console.

use crate::phase::Code;
use crate::register::RegisterError;
use crate::register::answer::Failure as RequestFailure;
use crate::register::burn_in::BurnInError;

/// The stable word for why a registration failed.
pub(super) fn code_of(error: &RegisterError) -> Code {
    let of_request = |cause: &RequestFailure| match cause {
        RequestFailure::Untrusted { .. } => Code::Ca,
        RequestFailure::Transport { source: ureq::Error::HostNotFound } => Code::Dns,
        RequestFailure::Transport { .. } => Code::InventoryDown,
        RequestFailure::Problem(problem) if problem.retryable || problem.status >= 500 => Code::InventoryDown,
        RequestFailure::NotUnderstood { .. }
        | RequestFailure::Problem(_)
        | RequestFailure::Unexplained { .. } => Code::Refused,
    };
    match error {
        RegisterError::Token(_) => Code::Token,
        RegisterError::Ca(_) => Code::Ca,
        RegisterError::State(_) | RegisterError::Key(_) => Code::State,
        RegisterError::BurnIn(BurnInError::OutOfMemory { .. }) => Code::OutOfMemory,
        RegisterError::BurnIn(_) => Code::BurnIn,
        RegisterError::Refused { cause, .. } | RegisterError::GaveUp { cause, .. } => of_request(cause),
        RegisterError::Signals(_) | RegisterError::NoBootId => Code::State,
        RegisterError::NodeId { .. } | RegisterError::Plan(_) | RegisterError::PlanDiffers { .. } => {
            Code::Refused
        }
    }
}
