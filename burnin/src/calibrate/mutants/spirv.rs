//! SPIR-V as a list of instructions: as much of it as changing a kernel takes.

/// Operation codes, as the SPIR-V specification numbers them (§3.49).
#[expect(missing_docs, reason = "the names are those of the specification")]
pub mod op {
    pub const EXT_INST: u16 = 12;
    pub const TYPE_BOOL: u16 = 20;
    pub const TYPE_INT: u16 = 21;
    pub const TYPE_FLOAT: u16 = 22;
    pub const TYPE_VECTOR: u16 = 23;
    pub const TYPE_ARRAY: u16 = 28;
    pub const TYPE_RUNTIME_ARRAY: u16 = 29;
    pub const TYPE_STRUCT: u16 = 30;
    pub const TYPE_POINTER: u16 = 32;
    pub const CONSTANT: u16 = 43;
    pub const CONSTANT_COMPOSITE: u16 = 44;
    pub const FUNCTION: u16 = 54;
    pub const FUNCTION_CALL: u16 = 57;
    pub const VARIABLE: u16 = 59;
    pub const LOAD: u16 = 61;
    pub const STORE: u16 = 62;
    pub const ACCESS_CHAIN: u16 = 65;
    pub const DECORATE: u16 = 71;
    pub const COMPOSITE_CONSTRUCT: u16 = 80;
    pub const COMPOSITE_EXTRACT: u16 = 81;
    pub const BITCAST: u16 = 124;
    pub const S_NEGATE: u16 = 126;
    pub const I_ADD: u16 = 128;
    pub const F_ADD: u16 = 129;
    pub const I_SUB: u16 = 130;
    pub const F_SUB: u16 = 131;
    pub const I_MUL: u16 = 132;
    pub const F_MUL: u16 = 133;
    pub const U_DIV: u16 = 134;
    pub const S_DIV: u16 = 135;
    pub const F_DIV: u16 = 136;
    pub const U_MOD: u16 = 137;
    pub const S_REM: u16 = 138;
    pub const VECTOR_TIMES_SCALAR: u16 = 142;
    pub const ANY: u16 = 154;
    pub const ALL: u16 = 155;
    pub const LOGICAL_OR: u16 = 166;
    pub const LOGICAL_AND: u16 = 167;
    pub const SELECT: u16 = 169;
    pub const I_EQUAL: u16 = 170;
    pub const I_NOT_EQUAL: u16 = 171;
    pub const U_GREATER_THAN: u16 = 172;
    pub const U_GREATER_THAN_EQUAL: u16 = 174;
    pub const U_LESS_THAN: u16 = 176;
    pub const S_LESS_THAN: u16 = 177;
    pub const U_LESS_THAN_EQUAL: u16 = 178;
    pub const S_LESS_THAN_EQUAL: u16 = 179;
    pub const SHIFT_RIGHT: u16 = 194;
    pub const SHIFT_LEFT: u16 = 196;
    pub const BITWISE_OR: u16 = 197;
    pub const BITWISE_XOR: u16 = 198;
    pub const BITWISE_AND: u16 = 199;
    pub const NOT: u16 = 200;
    pub const ATOMIC_I_ADD: u16 = 234;
    pub const ATOMIC_I_SUB: u16 = 235;
    pub const ATOMIC_AND: u16 = 240;
    pub const ATOMIC_OR: u16 = 241;
    pub const ATOMIC_XOR: u16 = 242;
    pub const PHI: u16 = 245;
    pub const LABEL: u16 = 248;
    pub const BRANCH: u16 = 249;
    pub const BRANCH_CONDITIONAL: u16 = 250;
    pub const SWITCH: u16 = 251;
}

/// One instruction: operation and operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inst {
    /// Operation code.
    pub op: u16,
    /// Words after the first.
    pub args: Vec<u32>,
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    header: [u32; 5],
    /// Instructions in their order.
    pub insts: Vec<Inst>,
}

impl Module {
    /// Reads little-endian SPIR-V; `None` where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let words = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let words: Vec<u32> = words.collect();
        let (header, mut rest) = words.split_first_chunk::<5>()?;
        if header[0] != 0x0723_0203 || !bytes.len().is_multiple_of(4) {
            return None;
        }
        let mut insts = Vec::new();
        while let Some(first) = rest.first() {
            let (length, op) = ((first >> 16) as usize, u16::try_from(first & 0xffff).ok()?);
            insts.push(Inst { op, args: rest.get(1..length)?.to_vec() });
            rest = &rest[length..];
        }
        Some(Self { header: *header, insts })
    }

    /// Little-endian SPIR-V.
    pub fn encode(&self) -> Vec<u8> {
        let insts = self.insts.iter().flat_map(|inst| {
            let length = u32::try_from(inst.args.len() + 1).unwrap_or(u32::MAX);
            std::iter::once((length << 16) | u32::from(inst.op)).chain(inst.args.iter().copied())
        });
        self.header.into_iter().chain(insts).flat_map(u32::to_le_bytes).collect()
    }

    /// An id that is not in use.
    pub fn fresh(&mut self) -> u32 {
        self.header[3] += 1;
        self.header[3] - 1
    }

    /// Number of the first instruction of the first function: before it stand types, constants and variables.
    pub fn first_function(&self) -> usize {
        self.insts.iter().position(|inst| inst.op == op::FUNCTION).unwrap_or(self.insts.len())
    }

    /// The instruction that makes a type, a constant or a variable outside of functions.
    pub fn global(&self, id: u32) -> Option<&Inst> {
        self.insts[..self.first_function()].iter().find(|inst| {
            let at = if (19..=39).contains(&inst.op) { 0 } else { 1 };
            (19..=59).contains(&inst.op) && inst.args.get(at) == Some(&id)
        })
    }

    /// The id of a type that is made so.
    pub fn type_id(&self, op: u16, args: &[u32]) -> Option<u32> {
        let found = self.insts[..self.first_function()].iter();
        found.clone().find(|inst| inst.op == op && inst.args.get(1..) == Some(args)).map(|inst| inst.args[0])
    }

    /// A new constant of a type, before the functions; instructions after it have moved by one.
    pub fn constant(&mut self, kind: u32, value: u32) -> u32 {
        let (id, at) = (self.fresh(), self.first_function());
        self.insts.insert(at, Inst { op: op::CONSTANT, args: vec![kind, id, value] });
        id
    }

    /// Type and value of a constant of 32 bits.
    pub fn value(&self, id: u32) -> Option<(u32, u32)> {
        let inst = self.global(id).filter(|inst| inst.op == op::CONSTANT && inst.args.len() == 3)?;
        Some((inst.args[0], inst.args[2]))
    }

    /// The variable that holds a built-in value.
    pub fn built_in(&self, number: u32) -> Option<u32> {
        const BUILT_IN: u32 = 11;
        let mut all = self.insts.iter().filter(|inst| inst.op == op::DECORATE);
        all.find(|inst| inst.args[1..] == [BUILT_IN, number]).map(|inst| inst.args[0])
    }
}

impl Inst {
    /// Type and id of its result, for operations within functions that have one.
    pub fn result(&self) -> Option<(u32, u32)> {
        let has =
            matches!(self.op, 12 | 57 | 61 | 65 | 79..=84 | 109..=204 | 227 | 229..=242 | 245 | 4450..=4455);
        if has { Some((self.args[0], self.args[1])) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_read_and_written_as_it_was() {
        for kernel in kernels::ALL {
            let module = Module::parse(kernel.spirv).unwrap();
            assert_eq!(module.encode(), kernel.spirv, "{}", kernel.name);
            assert!(module.first_function() < module.insts.len());
        }
    }

    #[test]
    fn what_is_not_spirv_is_not_read() {
        assert_eq!(Module::parse(&[]), None);
        assert_eq!(Module::parse(&[0; 40]), None);
        let mut cut = kernels::digest::KERNEL.spirv.to_vec();
        // The last instruction, and half of the one before.
        cut.truncate(cut.len() - 8);
        assert!(Module::parse(&cut).is_none());
    }

    #[test]
    fn built_in_values_and_constants_are_found() {
        let mut module = Module::parse(kernels::digest::KERNEL.spirv).unwrap();
        // The number of an invocation among all.
        assert!(module.built_in(28).is_some() && module.built_in(99).is_none());
        let uint = module.type_id(op::TYPE_INT, &[32, 0]).unwrap();
        let id = module.constant(uint, 77);
        assert_eq!(module.value(id), Some((uint, 77)));
    }
}
