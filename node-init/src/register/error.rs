//! Why a node could not be registered.

use report::plan::PlanError;

use super::answer::Failure;
use super::burn_in::BurnInError;
use super::client::CaError;
use super::journal::StateError;
use super::key::KeyError;
use super::token::TokenError;

/// Why a node could not be registered. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// No token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No CA.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// No state.
    #[error(transparent)]
    State(#[from] StateError),
    /// No key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Signals cannot be watched for.
    #[error("watching for signals: report this as a fault of the tool")]
    Signals(#[source] std::io::Error),
    /// Discovery did not find it.
    #[error("the boot id is not known: mount procfs on `/proc`")]
    NoBootId,
    /// The inventory gave the node a name that cannot stand in a path.
    #[error(
        "the inventory calls this node `{found}`: a name has 1 to 64 letters, digits, hyphens and underscores"
    )]
    NodeId {
        /// The name.
        found: String,
    },
    /// The inventory asks for a plan that is not built in.
    #[error("the inventory asks for a plan that is not built in: use node-init and inventory of one release")]
    Plan(#[from] PlanError),
    /// The plan of that name is another one here.
    #[error(
        "plan `{name}` is not the inventory's plan of that name (digest {ours} here, {theirs} there): \
         use node-init and inventory of one release"
    )]
    PlanDiffers {
        /// Name of the plan.
        name: String,
        /// Digest of the plan that is built in.
        ours: String,
        /// Digest that the inventory asks for.
        theirs: String,
    },
    /// No report.
    #[error(transparent)]
    BurnIn(#[from] BurnInError),
    /// The inventory refused, and would again.
    #[error("{doing} was refused")]
    Refused {
        /// What.
        doing: &'static str,
        /// Why.
        #[source]
        cause: Failure,
    },
    /// The patience of `--give-up-after` was at its end.
    #[error("{doing} did not succeed in the time of `--give-up-after`")]
    GaveUp {
        /// What.
        doing: &'static str,
        /// The last reason.
        #[source]
        cause: Failure,
    },
}
