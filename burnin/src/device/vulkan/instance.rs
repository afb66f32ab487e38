//! The Vulkan instance, and the validation layer where it is asked for.

use std::borrow::Cow;
use std::ffi::{CStr, c_void};
use std::sync::{Mutex, PoisonError};

use ash::{ext, vk};

use super::failed;
use crate::device::DeviceError;

/// Set to `1`, the validation layer is switched on, and must be there; every message of it is collected.
pub const VALIDATION_VARIABLE: &str = "ASSAY_VALIDATION";

const VALIDATION_LAYER: &CStr = c"VK_LAYER_KHRONOS_validation";

/// Does the environment ask for the validation layer?
pub(super) fn validation_wished() -> bool {
    std::env::var_os(VALIDATION_VARIABLE).is_some_and(|value| value == "1")
}

/// Owns the instance and its messenger.
pub(super) struct Instance {
    raw: ash::Instance,
    messenger: Option<Messenger>,
    /// Holds the loader library open as long as the instance lives.
    entry: ash::Entry,
}

struct Messenger {
    raw: vk::DebugUtilsMessengerEXT,
    functions: ext::debug_utils::Instance,
    /// Where the callback writes; boxed so that its address stays.
    messages: Box<Mutex<Vec<String>>>,
}

impl Instance {
    /// Loads the Vulkan loader and makes an instance for Vulkan 1.3.
    ///
    /// Version 1.3 is the highest of which we use anything, and SwiftShader refuses an application that says 1.4; a
    /// device's own version, which may be lower, is read from its properties. With `validate` the validation layer is switched on and must be there.
    pub(super) fn new(validate: bool) -> Result<Self, DeviceError> {
        // SAFETY: the loader library is trusted to be a Vulkan loader; it is kept open in `entry`.
        let entry = unsafe { ash::Entry::load() }.map_err(|error| DeviceError::Driver {
            doing: "loading the Vulkan loader (Debian: libvulkan1)",
            message: error.to_string(),
        })?;
        let application =
            vk::ApplicationInfo::default().application_name(c"assay").api_version(vk::API_VERSION_1_3);
        let layers = if validate { vec![VALIDATION_LAYER.as_ptr()] } else { Vec::new() };
        let names = [ext::debug_utils::NAME.as_ptr(), ext::validation_features::NAME.as_ptr()];
        // Missing barriers are looked for only where it is asked. The layer of Debian 12 (1.3.239) sees those between
        // transfers, not those between dispatches.
        let hazards = [vk::ValidationFeatureEnableEXT::SYNCHRONIZATION_VALIDATION];
        let mut features = vk::ValidationFeaturesEXT::default().enabled_validation_features(&hazards);
        let mut create =
            vk::InstanceCreateInfo::default().application_info(&application).enabled_layer_names(&layers);
        if validate {
            create = create.enabled_extension_names(&names).push_next(&mut features);
        }
        // SAFETY: `create` and all it points to live through the call; no allocation callbacks.
        let raw = unsafe { entry.create_instance(&create, None) }.map_err(failed(if validate {
            "creating the Vulkan instance with the validation layer (Debian: vulkan-validationlayers)"
        } else {
            "creating the Vulkan instance"
        }))?;
        let mut instance = Self { raw, messenger: None, entry };
        if validate {
            instance.messenger = Some(instance.listen()?);
        }
        Ok(instance)
    }

    fn listen(&self) -> Result<Messenger, DeviceError> {
        let functions = ext::debug_utils::Instance::new(&self.entry, &self.raw);
        let messages = Box::new(Mutex::new(Vec::new()));
        let create = vk::DebugUtilsMessengerCreateInfoEXT::default()
            .message_severity(
                vk::DebugUtilsMessageSeverityFlagsEXT::ERROR | vk::DebugUtilsMessageSeverityFlagsEXT::WARNING,
            )
            .message_type(
                vk::DebugUtilsMessageTypeFlagsEXT::VALIDATION
                    | vk::DebugUtilsMessageTypeFlagsEXT::PERFORMANCE,
            )
            .pfn_user_callback(Some(on_message))
            .user_data(std::ptr::from_ref::<Mutex<Vec<String>>>(&messages).cast_mut().cast());
        // SAFETY: the instance has VK_EXT_debug_utils; `messages` is boxed and lives until the messenger is destroyed.
        let raw = unsafe { functions.create_debug_utils_messenger(&create, None) }
            .map_err(failed("listening to the validation layer"))?;
        Ok(Messenger { raw, functions, messages })
    }

    /// The instance's functions.
    pub(super) fn raw(&self) -> &ash::Instance {
        &self.raw
    }

    /// The loader's functions.
    pub(super) fn entry(&self) -> &ash::Entry {
        &self.entry
    }

    /// Messages of the validation layer so far.
    pub(super) fn messages(&self) -> Vec<String> {
        let Some(messenger) = &self.messenger else { return Vec::new() };
        messenger.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(messenger) = self.messenger.take() {
            // SAFETY: created from this instance, destroyed once, before the instance.
            unsafe { messenger.functions.destroy_debug_utils_messenger(messenger.raw, None) };
        }
        // SAFETY: every child holds an `Arc` of this, so none is left; destroyed once.
        unsafe { self.raw.destroy_instance(None) };
    }
}

/// Collects one message of the validation layer.
unsafe extern "system" fn on_message(
    _severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _kind: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    messages: *mut c_void,
) -> vk::Bool32 {
    if data.is_null() || messages.is_null() {
        return vk::FALSE;
    }
    // SAFETY: the layer passes valid data for the length of the call; it was checked for null.
    let data = unsafe { &*data };
    // SAFETY: the pointer is the boxed list given in `listen`, which outlives the messenger.
    let messages = unsafe { &*messages.cast::<Mutex<Vec<String>>>() };
    if !data.p_message.is_null() {
        // SAFETY: the layer's message is a zero-terminated text that lives through the call.
        let text: Cow<'_, str> = unsafe { CStr::from_ptr(data.p_message) }.to_string_lossy();
        tracing::error!(message = %text, "validation");
        messages.lock().unwrap_or_else(PoisonError::into_inner).push(text.into_owned());
    }
    vk::FALSE
}
