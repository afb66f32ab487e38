//! Which of our matrix kernels multiplies a shape that a device lists.

use kernels::matrix::{Accumulator, Element, Types};
use report::{Component, MatrixScope, MatrixShape};

/// The types of A and B, and of C and the result.
pub fn components(types: Types) -> (Component, Component) {
    let element = match types.element() {
        Element::F16 => Component::F16,
        Element::Bf16 => Component::Bf16,
        Element::E4m3 => Component::E4m3,
        Element::E5m2 => Component::E5m2,
        Element::S8 => Component::S8,
        Element::U8 => Component::U8,
    };
    let accumulator = match types.accumulator() {
        Accumulator::F16 => Component::F16,
        Accumulator::F32 => Component::F32,
        Accumulator::S32 => Component::S32,
        Accumulator::U32 => Component::U32,
    };
    (element, accumulator)
}

/// The kernel for a shape; `None` where there is none: mixed types, saturating sums, scopes and types that we do not know.
pub fn kernel_types(shape: &MatrixShape) -> Option<Types> {
    let known = matches!(shape.scope, MatrixScope::Subgroup | MatrixScope::Workgroup);
    let plain = !shape.saturating && shape.a == shape.b && shape.c == shape.result;
    let fits = |types: &Types| components(*types) == (shape.a.clone(), shape.result.clone());
    Types::ALL.into_iter().find(fits).filter(|_| known && plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::MatrixSource;

    fn shape(types: Types) -> MatrixShape {
        let (a, c) = components(types);
        MatrixShape {
            m: 16,
            n: 16,
            k: 16,
            b: a.clone(),
            a,
            result: c.clone(),
            c,
            scope: MatrixScope::Subgroup,
            saturating: false,
            source: MatrixSource::Khr,
            workgroup_invocations: None,
        }
    }

    #[test]
    fn each_of_our_types_is_found_and_no_other() {
        for types in Types::ALL {
            let plain = shape(types);
            assert_eq!(kernel_types(&plain), Some(types));
            assert_eq!(kernel_types(&MatrixShape { saturating: true, ..plain.clone() }), None);
            assert_eq!(kernel_types(&MatrixShape { b: Component::S16, ..plain.clone() }), None);
            assert_eq!(kernel_types(&MatrixShape { c: Component::F64, ..plain.clone() }), None);
            let cluster = MatrixScope::Other("cluster".to_owned());
            assert_eq!(kernel_types(&MatrixShape { scope: cluster, ..plain }), None);
        }
    }
}
