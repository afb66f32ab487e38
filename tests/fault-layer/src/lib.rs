//! `VK_LAYER_ASSAY_fault`: a Vulkan layer that makes a device go wrong on purpose, below whatever program runs on it.
//!
//! The loader puts it between a program and the driver ([the loader's interface to layers][1]); it passes every call on,
//! save those that the plan in `ASSAY_FAULT` ([`plan`]) spoils. Every fault that arrived is written down as one line
//! of JSON, since a fault that never came proves nothing about who should have seen it. With no plan it changes nothing.
//!
//! ```text
//! VK_ADD_LAYER_PATH=DIR VK_INSTANCE_LAYERS=VK_LAYER_ASSAY_fault ASSAY_FAULT=lost:after=40 burnin run --plan quick
//! ```
//!
//! [1]: https://github.com/KhronosGroup/Vulkan-Loader/blob/main/docs/LoaderLayerInterface.md
#![allow(
    unsafe_code,
    reason = "a layer is handed raw pointers by the loader and the program, and hands them on"
)]

mod armed;
mod chain;
mod device;
mod flip;
mod instance;
pub mod plan;
mod submit;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use ash::vk;
use ash::vk::Handle;

pub use armed::{LOG_VARIABLE, PLAN_FILE, PLAN_VARIABLE};

/// The name by which the loader knows the layer.
pub const LAYER_NAME: &str = "VK_LAYER_ASSAY_fault";

/// The manifest by which the loader finds the layer at `library`, for a file `*.json` in a folder of `VK_ADD_LAYER_PATH`.
/// With `always`, the loader takes it unasked (a file in `implicit_layer.d`).
pub fn manifest(library: &str, always: bool) -> String {
    let mut layer = serde_json::json!({
        "name": LAYER_NAME,
        "type": "INSTANCE",
        "library_path": library,
        "api_version": "1.3.0",
        "implementation_version": "1",
        "description": "makes a device go wrong on purpose",
    });
    if always {
        layer["disable_environment"] = serde_json::json!({ "ASSAY_FAULT_OFF": "1" });
    }
    serde_json::json!({ "file_format_version": "1.2.0", "layer": layer }).to_string()
}

/// Instances and devices, by the loader's table to which the first word of each of their handles points: a device, its
/// queues and its command buffers share one.
struct Known<T>(LazyLock<Mutex<HashMap<usize, Arc<T>>>>);

impl<T> Known<T> {
    const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    fn put<H: Handle>(&self, handle: H, value: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key(handle), Arc::new(value));
    }

    /// What belongs to a handle.
    ///
    /// # Panics
    /// If it was not made through this layer, which the loader rules out.
    fn of<H: Handle>(&self, handle: H) -> Arc<T> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&key(handle))
            .cloned()
            .unwrap_or_else(|| panic!("a handle that no call through {LAYER_NAME} made"))
    }

    fn remove<H: Handle>(&self, handle: H) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(handle))
    }
}

fn key<H: Handle>(handle: H) -> usize {
    let object = handle.as_raw() as *const usize;
    // SAFETY: a dispatchable handle points to an object whose first word is the loader's table (the loader's interface
    // says so), and it is alive as long as it is used.
    unsafe { *object }
}

/// An array as Vulkan passes it: where there is nothing, the pointer may be null.
///
/// # Safety
/// `first` points to `count` of them, which live as long as the caller says.
unsafe fn listed<'a, T>(first: *const T, count: u32) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(first, count as usize) }
}

/// What the loader calls first: the layer's two look-ups.
///
/// # Safety
/// `interface` is the loader's structure.
#[unsafe(export_name = "vkNegotiateLoaderLayerInterfaceVersion")]
pub unsafe extern "system" fn negotiate(interface: *mut chain::Interface) -> vk::Result {
    // SAFETY: the loader passes a valid structure for the length of the call.
    let interface = unsafe { &mut *interface };
    if interface.version < 2 {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    }
    interface.version = 2;
    interface.instance_lookup = Some(instance::lookup);
    interface.device_lookup = Some(device::lookup);
    interface.physical_device_lookup = None;
    vk::Result::SUCCESS
}

/// A table of functions by name, each given as the pointer type of that function so that its signature is checked.
macro_rules! hooks {
    ($($name:literal => $function:path as $pointer:ty),* $(,)?) => {
        pub(crate) fn hook(name: &std::ffi::CStr) -> ash::vk::PFN_vkVoidFunction {
            match name.to_bytes() {
                $($name => {
                    let function: $pointer = $function;
                    // SAFETY: Vulkan's look-ups hand out every function under this type; the caller turns it back.
                    unsafe { std::mem::transmute::<$pointer, ash::vk::PFN_vkVoidFunction>(function) }
                })*
                _ => None,
            }
        }
    };
}
use hooks;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_taken_unasked_can_be_turned_off() {
        let layer = |always| {
            let manifest: serde_json::Value = serde_json::from_str(&manifest("/x.so", always)).unwrap();
            manifest["layer"].clone()
        };
        assert_eq!(layer(false)["name"], LAYER_NAME);
        assert!(layer(false)["disable_environment"].is_null());
        assert!(layer(true)["disable_environment"].is_object());
    }
}
