//! The kernel modules of an image: those asked for, those that they need, and the tables to find them by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::cpio::{File, Files};
use crate::debian;
use crate::layer;

/// The release of the one kernel in a root.
pub(crate) fn release(root: &Path) -> anyhow::Result<String> {
    let folder = root.join("usr/lib/modules");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .with_context(|| format!("reading `{}`", folder.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    ensure!(names.len() == 1, "one kernel is needed, there are: {names:?}");
    Ok(names.remove(0))
}

/// The modules and tables, by path in the image.
pub(crate) fn gather(root: &Path, release: &str, wanted: &[String]) -> anyhow::Result<Files> {
    let folder = root.join("usr/lib/modules").join(release);
    if !folder.join("modules.dep").is_file() {
        debian::run(Command::new("depmod").arg("-b").arg(root).arg(release))
            .context("indexing the modules")?;
    }
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))
    };
    let (dep, softdep) = (read("modules.dep")?, read("modules.softdep")?);
    let builtin = read("modules.builtin")?;
    let chosen = closure(&dep, &softdep, &builtin, wanted)?;
    let names: BTreeSet<_> = chosen.iter().map(|path| name_of(path)).collect();
    let keep = |text: &str, word: usize| -> String {
        let named =
            |line: &&str| line.split_whitespace().nth(word).is_some_and(|name| names.contains(&plain(name)));
        text.lines().filter(named).map(|line| format!("{line}\n")).collect()
    };
    let of_chosen = |line: &&str| line.split(':').next().is_some_and(|path| chosen.contains(path));
    let tables = [
        ("modules.dep", dep.lines().filter(of_chosen).map(|line| format!("{line}\n")).collect()),
        ("modules.alias", keep(&read("modules.alias")?, 2)),
        ("modules.softdep", keep(&softdep, 1)),
        ("modules.builtin", builtin),
    ];
    let mut files = Files::new();
    for (name, text) in tables {
        files.insert(format!("usr/lib/modules/{release}/{name}"), File::regular(0o644, text));
    }
    for path in &chosen {
        files.insert(format!("usr/lib/modules/{release}/{path}"), layer::load(&folder.join(path))?);
    }
    Ok(files)
}

/// Linux takes `-` and `_` in names for the same.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    plain(file.split(".ko").next().unwrap_or(file))
}

/// The paths of these modules and of all that they need. Soft dependencies have cycles: who was seen is not entered again.
fn closure(dep: &str, softdep: &str, builtin: &str, wanted: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let paths: BTreeMap<String, &str> =
        dep.lines().filter_map(|line| line.split_once(':')).map(|(path, _)| (name_of(path), path)).collect();
    let needs: BTreeMap<&str, &str> = dep.lines().filter_map(|line| line.split_once(':')).collect();
    let inside: BTreeSet<_> = builtin.lines().map(name_of).collect();
    let soft = |name: &str| -> Vec<String> {
        let lines = softdep.lines().filter_map(|line| line.strip_prefix("softdep ")?.split_once(' '));
        let words = lines.filter(|(of, _)| plain(of) == name).flat_map(|(_, rest)| rest.split_whitespace());
        words.filter(|word| !word.ends_with(':')).map(plain).collect()
    };
    let mut chosen = BTreeSet::new();
    let mut open = Vec::new();
    for name in wanted.iter().map(|name| plain(name)) {
        ensure!(
            paths.contains_key(&name) || inside.contains(&name),
            "the kernel has no module `{name}`: strike it from the profile"
        );
        open.push(name);
    }
    while let Some(name) = open.pop() {
        let Some(path) = paths.get(&name) else { continue };
        if chosen.insert((*path).to_owned()) {
            open.extend(needs[path].split_whitespace().map(name_of));
            open.extend(soft(&name));
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str =
        "kernel/a.ko.xz: kernel/b-b.ko.xz\nkernel/b-b.ko.xz:\nkernel/c.ko.xz:\nkernel/d.ko.xz:\n";

    #[test]
    fn a_module_brings_what_it_needs_and_a_cycle_of_soft_dependencies_ends() {
        let soft = "softdep b_b pre: c\nsoftdep c post: a\n";
        let chosen = closure(DEP, soft, "kernel/e.ko\n", &["a".into(), "e".into()]).unwrap();
        let chosen: Vec<_> = chosen.iter().map(String::as_str).collect();
        assert_eq!(chosen, ["kernel/a.ko.xz", "kernel/b-b.ko.xz", "kernel/c.ko.xz"]);
    }

    #[test]
    fn a_module_that_the_kernel_lacks_is_named() {
        let error = closure(DEP, "", "", &["z".into()]).unwrap_err();
        assert!(error.to_string().contains("no module `z`"), "{error}");
    }
}
