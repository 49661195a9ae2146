//! `cargo xtask dist windows`: a zip file with the programs, samples and installation scripts.
//!
//! The commands are not in it: `install.cmd` has `horcm.exe link` make them, hard links that take no
//! room. Copies would be twenty times the program, and `.cmd` files in their place need `call` in
//! every script of a user.

use std::{
    fs::{self, File},
    io::{Seek, Write},
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    cargo::{Result, workspace},
    windows::{self, PROGRAMS, Purpose},
};

/// The name of the file, and of the folder in it.
const NAME: &str = concat!("raid-manager-", env!("CARGO_PKG_VERSION"), "-windows");

/// Builds the programs and packs them into `target/dist`.
pub fn run() -> Result {
    let programs = windows::build(Purpose::Release)?;
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folder = set.unwrap_or_else(|| workspace().join("target")).join("dist");
    fs::create_dir_all(&folder).map_err(said(&folder))?;
    let path = folder.join(format!("{NAME}.zip"));
    let file = File::create(&path).map_err(said(&path))?;
    pack(ZipWriter::new(file), &programs)?;
    println!("{}", path.display());
    Ok(())
}

fn pack(mut archive: ZipWriter<impl Write + Seek>, programs: &Path) -> Result {
    for program in PROGRAMS {
        let bytes = read(&programs.join(program))?;
        add(&mut archive, &format!("HORCM/etc/{program}"), &bytes)?;
    }
    let provider = programs.join("RMVSSPRV.dll");
    if provider.is_file() {
        add(&mut archive, "HORCM/Tool/RMVSSPRV.dll", &read(&provider)?)?;
    } else {
        println!("without RMVSSPRV.dll: the provider is not part of this workspace");
    }
    let etc = workspace().join("etc");
    for sample in ["horcm50.conf", "horcm51.conf", "horcm.hba", "horcmperm50.conf"] {
        let text = with_windows_line_ends(&read(&etc.join(sample))?);
        add(&mut archive, &format!("HORCM/etc/samples/{sample}"), &text)?;
    }
    for script in ["install.cmd", "uninstall.cmd", "provider.cmd", "register_app.vbs"] {
        add(
            &mut archive,
            script,
            &with_windows_line_ends(&read(&etc.join("windows").join(script))?),
        )?;
    }
    let guide = read(&workspace().join("docs/windows.md"))?;
    add(&mut archive, "windows.md", &with_windows_line_ends(&guide))?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let text = with_windows_line_ends(&read(&workspace().join(licence))?);
        add(&mut archive, &format!("{licence}.txt"), &text)?;
    }
    archive.finish().map(drop).map_err(|error| error.to_string())
}

fn add(archive: &mut ZipWriter<impl Write + Seek>, name: &str, bytes: &[u8]) -> Result {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    archive.start_file(format!("{NAME}/{name}"), options).map_err(|error| failed(&error))?;
    archive.write_all(bytes).map_err(|error| failed(&error))
}

/// The command interpreter loses its place in a script whose lines end otherwise.
fn with_windows_line_ends(text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len() + text.len() / 32);
    for byte in text {
        if *byte == b'\n' {
            lines.push(b'\r');
        }
        lines.push(*byte);
    }
    lines
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(said(path))
}

fn said(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

#[cfg(test)]
mod installing;

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use zip::ZipArchive;

    use super::*;

    #[test]
    fn programs_and_scripts_are_packed_as_windows_wants_them() {
        let programs = tempfile::tempdir().unwrap();
        for program in PROGRAMS.into_iter().chain(["RMVSSPRV.dll"]) {
            fs::write(programs.path().join(program), program.repeat(100)).unwrap();
        }
        let mut bytes = Cursor::new(Vec::new());
        pack(ZipWriter::new(&mut bytes), programs.path()).unwrap();
        let mut archive = ZipArchive::new(bytes).unwrap();
        let mut read = |name: &str| {
            let mut text = String::new();
            let mut file = archive.by_name(&format!("{NAME}/{name}")).unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        };
        for program in PROGRAMS {
            assert_eq!(read(&format!("HORCM/etc/{program}")), program.repeat(100));
        }
        assert_eq!(read("HORCM/Tool/RMVSSPRV.dll"), "RMVSSPRV.dll".repeat(100));
        for text in
            ["install.cmd", "provider.cmd", "register_app.vbs", "HORCM/etc/samples/horcm50.conf"]
        {
            let text = read(text);
            assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text}");
        }
    }
}
