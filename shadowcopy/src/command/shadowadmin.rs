//! `shadowadmin list`: providers, writers, shadows and volumes, in the shape of `vssadmin list`.

use commands::{
    parse::Typed,
    table::{HELP, Operands},
};
use model::error::printable;
use serde::Serialize;

use super::{JSON, Run, Spec, view};
use crate::{
    catalogue::Kept,
    console::Console,
    failure::{Failure, Outcome},
    volume::discover::Here,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "shadowadmin",
    also: &[],
    about: "Lists the provider, writers, shadow copies and volumes, in the shape of vssadmin",
    common: &[HELP, JSON],
    options: &[],
    operands: Some(Operands {
        shown: "list {providers|writers|shadows|volumes}",
        doc: "What to list",
    }),
    run: Run::listing(run),
};

/// As the manual registers it.
const PROVIDER: &str = "RM Shadow Copy Provider";
const PROVIDER_ID: &str = "{748babd3-8c62-4b3d-b6b7-430b5f858c74}";

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let words: Vec<_> = typed.operands().iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list", "providers"] => providers(console),
        ["list", "writers"] => writers(console),
        ["list", "shadows"] => shadows(console),
        ["list", "volumes"] => volumes(console),
        _ => {
            let wrong = "it is `list`, and providers, writers, shadows or volumes";
            Err(Failure::usage(console.command, words.join(" "), wrong).into())
        }
    }
}

#[derive(Serialize)]
struct Provider {
    name: &'static str,
    kind: &'static str,
    id: &'static str,
    version: String,
}

fn providers(console: &mut Console<'_>) -> Outcome {
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

/// A writer as its last backup left it.
#[derive(Serialize)]
struct Writer {
    name: String,
    version: String,
    state: &'static str,
    last_error: Option<String>,
    last_backup: String,
}

fn writers(console: &mut Console<'_>) -> Outcome {
    let mut found: Vec<Writer> = Vec::new();
    // The newest backup comes last, and counts.
    for kept in view::catalogue(console)? {
        for writer in &kept.backup.writers {
            let name = writer.metadata.name.clone();
            found.retain(|other| other.name != name);
            found.push(Writer {
                name,
                version: writer.metadata.version.clone(),
                state: if writer.fault.is_none() { "[1] Stable" } else { "[11] Failed" },
                last_error: writer.fault.clone(),
                last_backup: kept.backup.id.to_string(),
            });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    if console.json {
        return console.print_json(&found);
    }
    let text = found.iter().map(|writer| {
        format!(
            "Writer name: '{}'\n   Version: {}\n   State: {}\n   Last error: {}\n   Last backup: {}\n",
            printable(&writer.name),
            printable(&writer.version),
            writer.state,
            printable(writer.last_error.as_deref().unwrap_or("No error")),
            writer.last_backup
        )
    });
    print(console, &text.collect::<Vec<_>>(), "No writer took part in a backup of the catalog.\n")
}

fn shadows(console: &mut Console<'_>) -> Outcome {
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

fn volumes(console: &mut Console<'_>) -> Outcome {
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

fn print(console: &mut Console<'_>, blocks: &[String], none: &str) -> Outcome {
    match blocks {
        [] => console.print(none),
        blocks => console.print(&blocks.join("\n")),
    }
}
