//! Every small change of a kernel: another operator, operands swapped, a constant off by one, an index off by one, a store
//! left out, one lane of one workgroup wrong.

use super::clobber::clobber;
use super::spirv::{Inst, Module, op};

/// A changed module.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// Which instruction of the original.
    pub at: usize,
    /// What was changed.
    pub change: String,
    /// The result.
    pub module: Module,
}

/// What an operation may be taken for. Results have the same type, so that the module stays valid.
const OPERATORS: [(u16, u16, &str); 34] = [
    (op::I_ADD, op::I_SUB, "add to subtract"),
    (op::I_SUB, op::I_ADD, "subtract to add"),
    (op::I_MUL, op::I_ADD, "multiply to add"),
    (op::F_ADD, op::F_SUB, "float add to subtract"),
    (op::F_SUB, op::F_ADD, "float subtract to add"),
    (op::F_MUL, op::F_ADD, "float multiply to add"),
    (op::F_DIV, op::F_MUL, "float divide to multiply"),
    (op::U_DIV, op::U_MOD, "divide to remainder"),
    (op::U_MOD, op::U_DIV, "remainder to divide"),
    (op::S_DIV, op::S_REM, "signed divide to remainder"),
    (op::BITWISE_XOR, op::BITWISE_OR, "exclusive or to or"),
    (op::BITWISE_XOR, op::BITWISE_AND, "exclusive or to and"),
    (op::BITWISE_OR, op::BITWISE_XOR, "or to exclusive or"),
    (op::BITWISE_OR, op::BITWISE_AND, "or to and"),
    (op::BITWISE_AND, op::BITWISE_OR, "and to or"),
    (op::NOT, op::S_NEGATE, "not to negate"),
    (op::SHIFT_RIGHT, op::SHIFT_LEFT, "shift right to left"),
    (op::SHIFT_LEFT, op::SHIFT_RIGHT, "shift left to right"),
    (op::I_EQUAL, op::I_NOT_EQUAL, "equal to not equal"),
    (op::I_NOT_EQUAL, op::I_EQUAL, "not equal to equal"),
    (op::U_LESS_THAN, op::U_LESS_THAN_EQUAL, "less to less or equal"),
    (op::U_LESS_THAN, op::U_GREATER_THAN_EQUAL, "less to greater or equal"),
    (op::U_LESS_THAN_EQUAL, op::U_LESS_THAN, "less or equal to less"),
    (op::S_LESS_THAN, op::S_LESS_THAN_EQUAL, "signed less to less or equal"),
    (op::U_GREATER_THAN, op::U_GREATER_THAN_EQUAL, "greater to greater or equal"),
    (op::U_GREATER_THAN, op::U_LESS_THAN_EQUAL, "greater to less or equal"),
    (op::U_GREATER_THAN_EQUAL, op::U_GREATER_THAN, "greater or equal to greater"),
    (op::ANY, op::ALL, "any to all"),
    (op::LOGICAL_AND, op::LOGICAL_OR, "and of conditions to or"),
    (op::LOGICAL_OR, op::LOGICAL_AND, "or of conditions to and"),
    (op::ATOMIC_I_ADD, op::ATOMIC_I_SUB, "atomic add to subtract"),
    (op::ATOMIC_I_ADD, op::ATOMIC_OR, "atomic add to or"),
    (op::ATOMIC_OR, op::ATOMIC_AND, "atomic or to and"),
    (op::ATOMIC_OR, op::ATOMIC_XOR, "atomic or to exclusive or"),
];

/// Operations of two operands whose order matters.
const ORDERED: [u16; 12] = [
    op::I_SUB,
    op::F_SUB,
    op::F_DIV,
    op::U_DIV,
    op::U_MOD,
    op::S_DIV,
    op::S_REM,
    op::SHIFT_RIGHT,
    op::SHIFT_LEFT,
    op::U_LESS_THAN,
    op::S_LESS_THAN,
    op::U_GREATER_THAN,
];

/// `Fma` of the extended instructions GLSL.std.450.
const FMA: u32 = 50;

/// Every mutation of a module, in the order of its instructions.
pub fn all(module: &Module) -> Vec<Mutation> {
    let mut all = Vec::new();
    for at in module.first_function()..module.insts.len() {
        let mut found = Found { module, at, all: &mut all };
        found.operators();
        found.operands();
        found.constants();
        found.indices();
        found.omissions();
        found.one_lane();
    }
    all
}

/// The mutations of one instruction.
struct Found<'a> {
    module: &'a Module,
    at: usize,
    all: &'a mut Vec<Mutation>,
}

impl Found<'_> {
    fn inst(&self) -> &Inst {
        &self.module.insts[self.at]
    }

    fn push(&mut self, change: String, module: Module) {
        self.all.push(Mutation { at: self.at, change: format!("instruction {}: {change}", self.at), module });
    }

    /// The instruction with something else about it.
    fn changed(&mut self, change: &str, act: impl FnOnce(&mut Inst)) {
        let mut module = self.module.clone();
        act(&mut module.insts[self.at]);
        self.push(change.to_owned(), module);
    }

    fn operators(&mut self) {
        let mine = self.inst().op;
        for (_, to, name) in OPERATORS.into_iter().filter(|(from, ..)| *from == mine) {
            self.changed(name, |inst| inst.op = to);
        }
    }

    fn operands(&mut self) {
        let Inst { op, args } = self.inst().clone();
        let swap = |a: usize, b: usize| args.get(a).zip(args.get(b)).is_some_and(|(a, b)| a != b);
        if ORDERED.contains(&op) && swap(2, 3) {
            self.changed("operands swapped", |inst| inst.args.swap(2, 3));
        }
        if op == op::SELECT && swap(3, 4) {
            self.changed("choices swapped", |inst| inst.args.swap(3, 4));
        }
        if op == op::EXT_INST && args.get(3) == Some(&FMA) {
            for (a, b, name) in [(5, 6, "second and third"), (4, 6, "first and third")] {
                if swap(a, b) {
                    self.changed(&format!("fma with {name} operand swapped"), |inst| inst.args.swap(a, b));
                }
            }
            let plain = |op, keep: [usize; 2]| Inst {
                op,
                args: vec![args[0], args[1], args[keep[0]], args[keep[1]]],
            };
            let (product, sum) = (plain(op::F_MUL, [4, 5]), plain(op::F_ADD, [4, 6]));
            self.changed("fma to multiply", |inst| *inst = product);
            self.changed("fma to add", |inst| *inst = sum);
        }
    }

    /// Each use of a constant, one more and one less; of a float the next one.
    fn constants(&mut self) {
        let inst = self.inst().clone();
        for operand in value_operands(&inst) {
            let id = inst.args[operand];
            let Some((kind, value)) = self.module.value(id) else {
                self.composite(operand, id);
                continue;
            };
            let Some(kind_op) = self.module.global(kind).map(|inst| inst.op) else { continue };
            let steps: &[i32] = match kind_op {
                op::TYPE_INT => &[1, -1],
                op::TYPE_FLOAT => &[1],
                _ => &[],
            };
            for step in steps {
                if !self.allows(&inst, operand, value, *step) {
                    continue;
                }
                let mut module = self.module.clone();
                let new = module.constant(kind, value.wrapping_add_signed(*step));
                module.insts[self.at + 1].args[operand] = new;
                self.push(format!("constant {value:#x} {step:+}"), module);
            }
        }
    }

    /// A vector of constants with one part that is the next float, or one more.
    fn composite(&mut self, operand: usize, id: u32) {
        let Some(whole) = self.module.global(id).filter(|inst| inst.op == op::CONSTANT_COMPOSITE).cloned()
        else {
            return;
        };
        let part = self.at % (whole.args.len() - 2) + 2;
        let Some((kind, value)) = self.module.value(whole.args[part]) else { return };
        let mut module = self.module.clone();
        let new = module.constant(kind, value.wrapping_add(1));
        let (vector, at) = (module.fresh(), module.first_function());
        let mut args = whole.args;
        (args[1], args[part]) = (vector, new);
        module.insts.insert(at, Inst { op: op::CONSTANT_COMPOSITE, args });
        module.insts[self.at + 2].args[operand] = vector;
        self.push(format!("part {} of a constant vector, {value:#x} +1", part - 2), module);
    }

    /// May a constant operand move by this step? An index must stay within what it indexes, a member of a structure is not
    /// an index.
    fn allows(&self, inst: &Inst, operand: usize, value: u32, step: i32) -> bool {
        if inst.op != op::ACCESS_CHAIN {
            return true;
        }
        let Some(end) = self.indexed(inst, operand) else { return false };
        value.checked_add_signed(step).is_some_and(|moved| moved < end)
    }

    /// The end of what an operand of an access chain indexes; `None` where that is a structure.
    fn indexed(&self, inst: &Inst, operand: usize) -> Option<u32> {
        let module = self.module;
        let base = module.global(inst.args[2])?;
        let mut kind =
            *module.global(base.args[0]).filter(|kind| kind.op == op::TYPE_POINTER)?.args.get(2)?;
        for (at, index) in inst.args.iter().enumerate().skip(3) {
            let whole = module.global(kind)?;
            let end = match whole.op {
                op::TYPE_VECTOR => Some(whole.args[2]),
                op::TYPE_ARRAY => module.value(whole.args[2]).map(|(_, length)| length),
                op::TYPE_RUNTIME_ARRAY => Some(u32::MAX),
                _ => None,
            };
            if at == operand {
                return end;
            }
            kind = match whole.op {
                op::TYPE_STRUCT => *whole.args.get(1 + module.value(*index)?.1 as usize)?,
                _ => whole.args[1],
            };
        }
        None
    }

    /// A computed index of a buffer, one more.
    fn indices(&mut self) {
        let inst = self.inst().clone();
        if inst.op != op::ACCESS_CHAIN {
            return;
        }
        for operand in 3..inst.args.len() {
            let constant = self.module.global(inst.args[operand]).is_some();
            if constant || self.indexed(&inst, operand) != Some(u32::MAX) {
                continue;
            }
            let mut module = self.module.clone();
            let Some(uint) = module.type_id(op::TYPE_INT, &[32, 0]) else { continue };
            let (one, moved) = (module.constant(uint, 1), module.fresh());
            let at = self.at + 1;
            module.insts[at].args[operand] = moved;
            let add = Inst { op: op::I_ADD, args: vec![uint, moved, inst.args[operand], one] };
            module.insts.insert(at, add);
            self.push("index off by one".to_owned(), module);
        }
    }

    /// A store, or an atomic whose result nobody reads, left out. Not the store of a constant to a variable: what would then be
    /// read is undefined, so that anything goes; the constant is changed instead.
    fn omissions(&mut self) {
        let inst = self.inst();
        let initial = inst.op == op::STORE && self.module.global(inst.args[1]).is_some();
        if initial && self.module.insts.iter().any(|i| i.op == op::VARIABLE && i.args[1] == inst.args[0]) {
            return;
        }
        let atomic = (op::ATOMIC_I_ADD..=op::ATOMIC_XOR).contains(&inst.op);
        let read = |id: u32| {
            self.module.insts.iter().enumerate().any(|(n, other)| n != self.at && other.args.contains(&id))
        };
        if inst.op == op::STORE || atomic && !read(inst.args[1]) {
            let mut module = self.module.clone();
            module.insts.remove(self.at);
            self.push(if atomic { "atomic left out" } else { "store left out" }.to_owned(), module);
        }
    }

    /// A result with its lowest bit flipped in one lane of one workgroup.
    fn one_lane(&mut self) {
        let inst = self.inst().clone();
        let computes = (op::I_ADD..=op::S_REM).contains(&inst.op)
            || (op::SHIFT_RIGHT..=op::NOT).contains(&inst.op)
            || inst.op == op::EXT_INST;
        if let (true, Some((kind, id))) = (computes, inst.result())
            && let Some(module) = clobber(self.module, self.at, kind, id)
        {
            self.push("result wrong in one lane of one workgroup".to_owned(), module);
        }
    }
}

/// Operands of an instruction that are values, by their place.
fn value_operands(inst: &Inst) -> std::ops::Range<usize> {
    let all = inst.args.len();
    match inst.op {
        op::STORE => 1..2.min(all),
        op::ACCESS_CHAIN => 3..all,
        op::FUNCTION_CALL => 3..all,
        // Pointer, scope and semantics come before the value.
        op::ATOMIC_I_ADD..=op::ATOMIC_XOR => 5..all,
        op::EXT_INST => 4..all,
        op::COMPOSITE_CONSTRUCT | 126..=200 => 2..all,
        _ => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn mutations(kernel: &kernels::Kernel) -> Vec<Mutation> {
        all(&Module::parse(kernel.spirv).unwrap())
    }

    #[test]
    fn every_mutant_differs_from_its_kernel_and_from_every_other_and_reads_back() {
        for kernel in kernels::ALL {
            let mut all: Vec<Vec<u8>> = mutations(kernel).iter().map(|m| m.module.encode()).collect();
            assert!(all.len() > 100, "{}: {}", kernel.name, all.len());
            assert!(all.iter().all(|spirv| Module::parse(spirv).is_some() && spirv != kernel.spirv));
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{}", kernel.name);
        }
    }

    #[test]
    fn operators_operands_constants_indices_stores_and_lanes_are_changed() {
        let changes: Vec<String> = mutations(&kernels::fp32::KERNEL).into_iter().map(|m| m.change).collect();
        for kind in [
            "add to subtract",
            "fma with second and third operand swapped",
            "fma to multiply",
            "operands swapped",
            "less to less or equal",
            "constant 0x20 +1",
            "of a constant vector",
            "index off by one",
            "store left out",
            "atomic left out",
            "result wrong in one lane of one workgroup",
        ] {
            assert!(changes.iter().any(|change| change.contains(kind)), "{kind}");
        }
    }

    /// What `spirv-val` says of a module; `None` where it is not installed.
    fn validated(spirv: &[u8]) -> Option<Result<(), String>> {
        let mut command = Command::new("spirv-val");
        command.args(["--target-env", "vulkan1.3", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().ok()?;
        child.stdin.take().unwrap().write_all(spirv).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Some(if output.status.success() { Ok(()) } else { Err(said) })
    }

    #[test]
    fn mutants_are_valid_spirv_where_a_validator_is_installed_and_have_single_results_everywhere() {
        for kernel in kernels::ALL {
            for Mutation { change, module, .. } in mutations(kernel).into_iter().step_by(16) {
                let mut results: Vec<u32> =
                    module.insts.iter().filter_map(Inst::result).map(|r| r.1).collect();
                let count = results.len();
                results.sort_unstable();
                results.dedup();
                assert_eq!(results.len(), count, "{}: {change}", kernel.name);
                if let Some(valid) = validated(&module.encode()) {
                    assert_eq!(valid, Ok(()), "{}: {change}", kernel.name);
                }
            }
        }
    }
}
