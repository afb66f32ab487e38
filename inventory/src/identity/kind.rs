//! The kinds of evidence, and what sort of thing each is about.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $single:literal;)*) => {
        /// What a piece of evidence is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in the store, in configuration and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Has a machine one of it, so that another value is another thing and not one more?
            pub fn is_single(self) -> bool {
                match self { $(Self::$variant => $single,)* }
            }
        }
    };
}

kinds! {
    /// SHA-256 of the TPM's endorsement key.
    TpmEk = "tpm_ek", true;
    /// Serial number of the board, with its maker.
    BoardSerial = "board_serial", true;
    /// Serial number of the system, with its maker.
    ProductSerial = "product_serial", true;
    /// SMBIOS UUID.
    ProductUuid = "product_uuid", true;
    /// Serial number of the chassis, which several nodes may share.
    ChassisSerial = "chassis_serial", true;
    /// A permanent MAC address.
    Mac = "mac", false;
    /// Serial number of an NVMe disk.
    NvmeSerial = "nvme_serial", false;
    /// Serial number of a GPU.
    GpuSerial = "gpu_serial", false;
    /// UUID of a GPU.
    GpuUuid = "gpu_uuid", false;
    /// A switch port: where a cable goes, not what the machine is.
    Lldp = "lldp", false;
}

impl Kind {
    /// The kind of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::parse(&word).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            de::Error::custom(format!(
                "no kind of evidence is called `{word}`: there are {}",
                known.join(", ")
            ))
        })
    }
}
