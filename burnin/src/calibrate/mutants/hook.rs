//! Code of a kernel that only a planted fault runs: a change there makes no difference to a real run.
//!
//! The rule: parameter 4 of a chain kernel says whether a fault is planted. A condition is *gated* if it is that this parameter
//! equals a constant other than 0, or can be true only where such a condition is. A block that is out of reach once the true
//! branch of every gated condition is taken away is *hook code*. That the rule holds is tried on the device: with all of the
//! hook code poisoned, real rounds must stay right and planted faults must not be found as planted.

use std::collections::{HashMap, HashSet};

use super::spirv::{Inst, Module, op};

/// Storage class of push constants.
const PUSH_CONSTANT: u32 = 9;
/// The parameter that says which fault is planted.
const KIND: u32 = 4;

/// Blocks of all functions by their label, and who defines what.
struct Blocks<'a> {
    module: &'a Module,
    /// First and one after the last instruction, by label.
    spans: HashMap<u32, std::ops::Range<usize>>,
    /// Labels at which functions begin.
    entries: Vec<u32>,
    definitions: HashMap<u32, &'a Inst>,
}

/// Numbers of the instructions that are hook code.
pub fn hook_code(module: &Module) -> HashSet<usize> {
    let blocks = Blocks::of(module);
    let mut hook: HashSet<u32> = HashSet::new();
    loop {
        let reached = blocks.reached(&hook);
        let more: HashSet<u32> =
            blocks.spans.keys().filter(|label| !reached.contains(label)).copied().collect();
        if more.len() == hook.len() {
            break;
        }
        hook = more;
    }
    hook.iter().flat_map(|label| blocks.spans[label].clone()).collect()
}

/// The module with every condition and every stored value of the hook code wrong.
pub fn poisoned(module: &Module) -> Module {
    let mut poisoned = module.clone();
    for at in hook_code(module) {
        let inst = &mut poisoned.insts[at];
        inst.op = match inst.op {
            op::I_EQUAL => op::I_NOT_EQUAL,
            op::BITWISE_XOR => op::BITWISE_AND,
            op::BITWISE_OR => op::BITWISE_AND,
            other => other,
        };
    }
    poisoned
}

impl<'a> Blocks<'a> {
    fn of(module: &'a Module) -> Self {
        let mut this =
            Self { module, spans: HashMap::new(), entries: Vec::new(), definitions: HashMap::new() };
        let mut label = None;
        let mut entry = false;
        for (at, inst) in module.insts.iter().enumerate() {
            match inst.op {
                op::FUNCTION => entry = true,
                op::LABEL => {
                    if std::mem::take(&mut entry) {
                        this.entries.push(inst.args[0]);
                    }
                    label = Some(inst.args[0]);
                    this.spans.insert(inst.args[0], at..at + 1);
                }
                _ => {}
            }
            if let Some(span) = label.and_then(|label| this.spans.get_mut(&label)) {
                span.end = at + 1;
            }
            if let Some((_, id)) = inst.result() {
                this.definitions.insert(id, inst);
            }
        }
        this
    }

    /// Labels that are reached when no gated condition is true.
    fn reached(&self, hook: &HashSet<u32>) -> HashSet<u32> {
        let mut reached = HashSet::new();
        let mut open = self.entries.clone();
        while let Some(label) = open.pop() {
            if !reached.insert(label) {
                continue;
            }
            for inst in &self.module.insts[self.spans[&label].clone()] {
                match inst.op {
                    op::BRANCH => open.push(inst.args[0]),
                    op::BRANCH_CONDITIONAL if self.gated(inst.args[0], hook) => open.push(inst.args[2]),
                    op::BRANCH_CONDITIONAL => open.extend(&inst.args[1..3]),
                    // Default, then pairs of a value and a label.
                    op::SWITCH => {
                        open.push(inst.args[1]);
                        open.extend(inst.args[2..].iter().skip(1).step_by(2));
                    }
                    _ => {}
                }
            }
        }
        reached
    }

    /// Can the condition be true only where a fault is planted?
    fn gated(&self, condition: u32, hook: &HashSet<u32>) -> bool {
        let Some(inst) = self.definitions.get(&condition) else { return false };
        match inst.op {
            op::I_EQUAL => {
                let constant = self.module.value(inst.args[3]).map(|(_, value)| value);
                self.is_kind(inst.args[2]) && constant.is_some_and(|value| value != 0)
            }
            op::LOGICAL_AND => self.gated(inst.args[2], hook) || self.gated(inst.args[3], hook),
            // Pairs of a value and the block it comes from; a false condition comes as itself.
            op::PHI => inst.args[2..]
                .chunks_exact(2)
                .all(|pair| hook.contains(&pair[1]) || self.gated(pair[0], hook)),
            _ => false,
        }
    }

    fn is_kind(&self, id: u32) -> bool {
        let Some(load) = self.definitions.get(&id).filter(|inst| inst.op == op::LOAD) else { return false };
        let Some(chain) = self.definitions.get(&load.args[2]).filter(|inst| inst.op == op::ACCESS_CHAIN)
        else {
            return false;
        };
        let variable = self.module.global(chain.args[2]);
        let pushed = variable.is_some_and(|inst| inst.op == op::VARIABLE && inst.args[2] == PUSH_CONSTANT);
        let index = chain.args.last().and_then(|index| self.module.value(*index));
        pushed && chain.args.len() == 5 && index.is_some_and(|(_, index)| index == KIND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hook_of_a_chain_kernel_is_found_and_nothing_else() {
        for kernel in [&kernels::digest::KERNEL, &kernels::fp32::KERNEL] {
            let module = Module::parse(kernel.spirv).unwrap();
            let hook = hook_code(&module);
            let ops: Vec<u16> = hook.iter().map(|at| module.insts[*at].op).collect();
            assert!(ops.iter().filter(|op| **op == op::LABEL).count() >= 2, "{}: {ops:?}", kernel.name);
            assert!(ops.contains(&op::BITWISE_OR) && ops.contains(&op::BITWISE_XOR));
            // No result leaves the kernel from there, and no step of a chain is there.
            let chain = [op::ATOMIC_I_ADD, op::I_MUL, op::EXT_INST];
            assert!(ops.iter().all(|op| !chain.contains(op)), "{}", kernel.name);
            assert_ne!(poisoned(&module), module);
        }
    }

    #[test]
    fn a_kernel_without_a_hook_has_none() {
        for kernel in kernels::memory::FORMS {
            assert!(hook_code(&Module::parse(kernel.spirv).unwrap()).is_empty(), "{}", kernel.name);
        }
    }
}
