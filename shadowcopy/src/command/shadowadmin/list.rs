//! What there is, by the catalogue and by this host.

use model::error::printable;
use serde::Serialize;

use super::{super::view, print};
use crate::{catalogue::Kept, console::Console, failure::Outcome, volume::discover::Here};

/// As the manual registers it.
const PROVIDER: &str = "RM Shadow Copy Provider";
const PROVIDER_ID: &str = "{748babd3-8c62-4b3d-b6b7-430b5f858c74}";

#[derive(Serialize)]
struct Provider {
    name: &'static str,
    kind: &'static str,
    id: &'static str,
    version: String,
}

pub(super) fn providers(console: &mut Console<'_>) -> Outcome {
    let provider =
        Provider { name: PROVIDER, kind: "Hardware", id: PROVIDER_ID, version: model::version() };
    if console.json {
        return console.print_json(&[provider]);
    }
    console.print(&format!(
        "Provider name: '{}'\n   Provider type: {}\n   Provider Id: {}\n   Version: {}\n",
        provider.name, provider.kind, provider.id, provider.version
    ))
}

pub(super) fn shadows(console: &mut Console<'_>) -> Outcome {
    let mut backups = view::catalogue(console)?;
    backups.retain(|kept| kept.backup.is_there());
    if console.json {
        let views: Vec<_> = backups.iter().map(view::View::of).collect();
        return console.print_json(&views);
    }
    let text: Vec<_> = backups.iter().map(shadow_set).collect();
    print(console, &text, "The catalog holds no shadow copy.\n")
}

fn shadow_set(kept: &Kept) -> String {
    let backup = &kept.backup;
    let mut text = format!(
        "Contents of shadow copy set ID: {}\n   Contained {} shadow copies at creation time: {}\n",
        backup.set,
        backup.volumes.len(),
        view::local(backup.began)
    );
    for volume in &backup.volumes {
        let mount = volume.mount.display().to_string();
        text.push_str(&format!(
            "      Shadow Copy: {}/{} local_{}\n         Original Volume: ({}) {}\n         \
             Shadow Copy Volume: {}\n         Backup ID: {}\n         Provider: '{PROVIDER}'\n         \
             State: {}\n",
            volume.group,
            volume.name,
            backup.generation,
            printable(&mount),
            volume.primary,
            volume.secondary,
            backup.id,
            view::state(kept),
        ));
    }
    text
}

/// A mounted file system on LUNs of a storage system.
#[derive(Serialize)]
struct Volume {
    path: String,
    device: String,
    file_system: String,
    ldevs: Vec<String>,
}

pub(super) fn volumes(console: &mut Console<'_>) -> Outcome {
    let here = Here::now()?;
    let mut found: Vec<Volume> = Vec::new();
    for mount in &here.mounts.0 {
        let Ok((device, luns)) = here.luns(mount) else { continue };
        found.push(Volume {
            path: mount.point.display().to_string(),
            device: device.display().to_string(),
            file_system: mount.file_system.clone(),
            ldevs: luns.iter().map(|(volume, _)| volume.to_string()).collect(),
        });
    }
    if console.json {
        return console.print_json(&found);
    }
    let text: Vec<_> = found
        .iter()
        .map(|volume| {
            format!(
                "Volume path: {}\n    Volume name: {}\n    File system: {}\n    LDEVs: {}\n",
                printable(&volume.path),
                printable(&volume.device),
                printable(&volume.file_system),
                volume.ldevs.join(", ")
            )
        })
        .collect();
    print(console, &text, "No mounted file system is on a LUN of a storage system.\n")
}
