//! One lane of one workgroup wrong.

use super::spirv::{Inst, Module, op};

/// The workgroup and the lane that are clobbered: the first, which run all there is to run.
const CLOBBERED: [u32; 2] = [0, 0];

/// The module with the lowest bit of a result (of its first part) flipped in one lane of one workgroup.
pub(super) fn clobber(module: &Module, at: usize, kind: u32, id: u32) -> Option<Module> {
    const WORKGROUP_ID: u32 = 26;
    const LOCAL_INVOCATION_ID: u32 = 27;
    const GLOBAL_INVOCATION_ID: u32 = 28;
    let mut module = module.clone();
    let uint = module.type_id(op::TYPE_INT, &[32, 0])?;
    let float = module.type_id(op::TYPE_FLOAT, &[32]);
    let boolean = module.type_id(op::TYPE_BOOL, &[])?;
    let triple = module.type_id(op::TYPE_VECTOR, &[uint, 3])?;
    let quad = module.type_id(op::TYPE_VECTOR, &[uint, 4]);
    let float_quad = float.and_then(|float| module.type_id(op::TYPE_VECTOR, &[float, 4]));
    // The first lane of the first workgroup is also the first of all invocations.
    let ids = match (module.built_in(WORKGROUP_ID), module.built_in(LOCAL_INVOCATION_ID)) {
        (Some(workgroup), Some(lane)) => vec![workgroup, lane],
        _ => vec![module.built_in(GLOBAL_INVOCATION_ID)?],
    };
    // As which type its bits are seen.
    let bits = match Some(kind) {
        some if some == Some(uint) || some == float => uint,
        some if some == quad || some == float_quad => quad?,
        _ => return None,
    };
    let zero = module.constant(uint, 0);
    let one = module.constant(uint, 1);
    let places = CLOBBERED.map(|place| module.constant(uint, place));
    let mut after = Vec::new();
    let mut put = |module: &mut Module, op: u16, kind: u32, operands: &[u32]| {
        let id = module.fresh();
        after.push(Inst { op, args: [&[kind, id], operands].concat() });
        id
    };
    let mut here = Vec::new();
    for (variable, place) in ids.into_iter().zip(places) {
        let whole = put(&mut module, op::LOAD, triple, &[variable]);
        let first = put(&mut module, op::COMPOSITE_EXTRACT, uint, &[whole, 0]);
        here.push(put(&mut module, op::I_EQUAL, boolean, &[first, place]));
    }
    let hit = match here.as_slice() {
        [only] => *only,
        both => put(&mut module, op::LOGICAL_AND, boolean, both),
    };
    let mut mask = put(&mut module, op::SELECT, uint, &[hit, one, zero]);
    if bits != uint {
        mask = put(&mut module, op::COMPOSITE_CONSTRUCT, bits, &[mask, zero, zero, zero]);
    }
    let right = module.fresh();
    let seen = if bits == kind { right } else { put(&mut module, op::BITCAST, bits, &[right]) };
    let last = if bits == kind {
        Inst { op: op::BITWISE_XOR, args: vec![kind, id, seen, mask] }
    } else {
        let wrong = put(&mut module, op::BITWISE_XOR, bits, &[seen, mask]);
        Inst { op: op::BITCAST, args: vec![kind, id, wrong] }
    };
    after.push(last);
    // Four constants more stand before the functions.
    let at = at + 4;
    module.insts[at].args[1] = right;
    module.insts.splice(at + 1..at + 1, after);
    Some(module)
}
