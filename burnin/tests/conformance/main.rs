//! What every device must do, run on each backend: one test for each pair, so that each has a process of its own.
//!
//! Needs a Vulkan device and the validation layer and fails without them; on Debian a software device is
//! `mesa-vulkan-drivers` and the layer is `vulkan-validationlayers`. The layer is on in every Vulkan test, and a message
//! from it fails the test.

#![expect(clippy::unwrap_used, reason = "a test ends there; clippy sees only functions marked `#[test]`")]

mod subject;
mod buffers;
mod kernels_agree;
mod chains_agree;
mod reads_agree;
mod matrices;
mod memory_sweeps;
mod checks;
mod time;
mod errors;

use subject::Subject;

/// One test for each property, on one subject.
macro_rules! suite {
    ($name:ident, $subject:ty, $($module:ident::$property:ident),+ $(,)?) => {
        mod $name {
            $(
                #[test]
                fn $property() {
                    crate::on::<$subject>(crate::$module::$property);
                }
            )+
        }
    };
}

/// Every property, on each subject.
macro_rules! conformance {
    ($($name:ident: $subject:ty),+ $(,)?) => {
        $(suite! {
            $name, $subject,
            buffers::new_buffers_are_zero,
            buffers::words_come_back_at_odd_offsets_and_across_the_staging_size,
            buffers::transfers_carry_words_both_ways_and_leave_the_rest_alone,
            buffers::a_buffer_given_back_can_be_had_again_thirty_times,
            buffers::more_than_the_memory_is_refused_and_the_device_goes_on,
            kernels_agree::the_digest_kernel_equals_its_reference,
            kernels_agree::the_fp32_kernel_rounds_one_way_throughout,
            chains_agree::every_integer_chain_equals_its_reference_in_every_shape,
            chains_agree::every_floating_point_chain_rounds_one_way_throughout,
            chains_agree::transcendental_functions_are_within_their_bounds_and_agree_with_themselves,
            chains_agree::a_flip_in_any_lane_of_a_transcendental_function_is_outvoted,
            reads_agree::a_chase_ends_where_its_law_says,
            reads_agree::what_is_read_again_is_what_is_there,
            kernels_agree::every_dispatch_has_its_own_parameters,
            kernels_agree::repeated_dispatches_see_what_the_one_before_wrote,
            kernels_agree::kernels_that_run_together_answer_as_they_do_alone,
            matrices::every_shape_that_is_listed_multiplies_exactly,
            matrices::a_planted_fault_is_the_only_wrong_word,
            matrices::the_time_grows_with_the_products_so_none_is_left_out,
            matrices::products_are_exact_and_a_planted_fault_shows,
            memory_sweeps::the_memory_kernels_equal_their_reference,
            memory_sweeps::more_wrong_words_than_records_are_all_counted_with_bit_and_place,
            time::host_and_device_time_agree,
            time::a_dispatch_of_no_repeats_submits_and_changes_nothing,
            errors::a_passed_deadline_kills_the_device_and_dropping_it_returns_at_once,
            errors::a_listed_device_is_what_it_was_listed_as,
        })+
    };
}

conformance! {
    vulkan: crate::subject::ValidatedVulkan,
    cpu: crate::subject::Reference,
    faulty: crate::subject::FaultAtRest,
}
#[cfg(feature = "portable")]
conformance! {
    portable: crate::subject::Wgpu,
}

/// Runs a property on a device that is opened before and looked at after.
fn on<S: Subject>(property: fn(&mut Option<S::Device>)) {
    let mut device = Some(S::open());
    property(&mut device);
    if let Some(device) = device {
        S::close(device);
    }
}
