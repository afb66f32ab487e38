//! One command and its response, with the authorisations that it needs.

use tpm2_protocol::basic::{TpmBuffer, TpmHandle};
use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;
use tpm2_protocol::data::{TpmRc, TpmRcBase, TpmRh, TpmSt, TpmaSession, TpmsAuthCommand};
use tpm2_protocol::frame::{
    TpmFlushContextCommand, TpmFlushContextResponse, TpmFrame, TpmResponse, TpmUnmarshalBody,
    tpm_marshal_command,
};
use tpm2_protocol::{TpmError, TpmWriter};

use super::{Channel, TpmFault};

/// How often a TPM may ask to have a command again.
const AGAIN_MAX: u32 = 5;

/// A TPM that takes commands.
#[derive(Debug)]
pub struct Tpm {
    channel: Channel,
}

/// Something loaded into the TPM; whoever loads it flushes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded(pub(super) TpmHandle);

impl Tpm {
    /// Speaks over that channel.
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }

    /// Sends a command and reads its response. `doing` names it for people.
    pub(super) fn run<R: TpmUnmarshalBody>(
        &mut self,
        doing: &'static str,
        command: &impl TpmFrame,
        sessions: &[TpmsAuthCommand],
    ) -> Result<R, TpmFault> {
        let malformed = |source: TpmError| TpmFault::Malformed { doing, source };
        let mut buffer = [0; TPM_MAX_COMMAND_SIZE];
        let mut writer = TpmWriter::new(&mut buffer);
        let tag = if sessions.is_empty() { TpmSt::NoSessions } else { TpmSt::Sessions };
        tpm_marshal_command(command, tag, sessions, &mut writer).map_err(malformed)?;
        for _ in 0..AGAIN_MAX {
            let bytes = self
                .channel
                .exchange(writer.as_bytes())
                .map_err(|source| TpmFault::Exchange { doing, source })?;
            let response = TpmResponse::cast(&bytes).map_err(malformed)?;
            match response.rc().map_err(malformed)? {
                TpmRc::Fmt0(TpmRcBase::Success) => return response.unmarshal().map_err(malformed),
                // It was busy with itself (a self test, most often): the same command again is what Part 1, 12.2 asks for.
                TpmRc::Warn(TpmRcBase::Retry | TpmRcBase::Testing | TpmRcBase::Yielded) => {}
                code => return Err(TpmFault::Refused { doing, code }),
            }
        }
        Err(TpmFault::Refused { doing, code: TpmRc::Warn(TpmRcBase::Retry) })
    }

    /// Runs something with a loaded object or session, and takes it out of the TPM however that ends.
    pub(super) fn with<T>(
        &mut self,
        loaded: Loaded,
        work: impl FnOnce(&mut Self) -> Result<T, TpmFault>,
    ) -> Result<T, TpmFault> {
        let done = work(self);
        let command = TpmFlushContextCommand { handles: [], flush_handle: loaded.0 };
        let flushed = self.run::<TpmFlushContextResponse>("flushing", &command, &[]);
        let done = done?;
        flushed?;
        Ok(done)
    }
}

/// Authorisation by the empty password.
pub(super) fn no_password() -> TpmsAuthCommand {
    by(handle(TpmRh::Pw), TpmaSession::empty())
}

/// Authorisation by a policy session that stays loaded.
pub(super) fn by_session(session: Loaded) -> TpmsAuthCommand {
    by(session.0, TpmaSession::CONTINUE_SESSION)
}

fn by(session_handle: TpmHandle, session_attributes: TpmaSession) -> TpmsAuthCommand {
    TpmsAuthCommand {
        session_handle,
        nonce: TpmBuffer::default(),
        session_attributes,
        hmac: TpmBuffer::default(),
    }
}

/// A permanent handle.
pub(super) fn handle(permanent: TpmRh) -> TpmHandle {
    TpmHandle::new(permanent.value())
}
