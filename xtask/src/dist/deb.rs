//! The Debian package: an `ar` archive with a version, a description and the files ([deb(5)]).
//!
//! It has no scripts: units are installed and not started, because a tracker needs to be told first who may use it.
//!
//! [deb(5)]: https://manpages.debian.org/bookworm/dpkg-dev/deb.5.en.html

use anyhow::Result;

use crate::dist::PACKAGE;
use crate::dist::archive::{Entry, below, gzip, tar};
use crate::dist::contents::{Contents, Files};

/// Where shells look for completions of packages.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions"),
    ("zsh", "usr/share/zsh/vendor-completions"),
    ("fish", "usr/share/fish/vendor_completions.d"),
];

/// The package.
pub(super) fn bytes(contents: &Contents, version: &str, time_s: u64) -> Result<Vec<u8>> {
    let files = files(contents)?;
    let kibibytes = files.iter().map(|entry| entry.len().div_ceil(1024)).sum::<usize>();
    let control = vec![Entry::file("control", control(version, kibibytes).into_bytes())];
    let mut package = b"!<arch>\n".to_vec();
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", gzip(&tar(control, time_s)?)?),
        ("data.tar.gz", gzip(&tar(files, time_s)?)?),
    ];
    for (name, bytes) in members {
        append(&mut package, name, &bytes, time_s);
    }
    Ok(package)
}

/// One member of an `ar` archive; members begin at even places.
fn append(package: &mut Vec<u8>, name: &str, bytes: &[u8], time_s: u64) {
    let header = format!("{name:<16}{time_s:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, "100644", bytes.len());
    package.extend_from_slice(header.as_bytes());
    package.extend_from_slice(bytes);
    if !bytes.len().is_multiple_of(2) {
        package.push(b'\n');
    }
}

fn control(version: &str, kibibytes: usize) -> String {
    format!(
        "Package: {PACKAGE}\n\
         Version: {version}\n\
         Architecture: amd64\n\
         Maintainer: Tributary contributors <tributary@localhost>\n\
         Installed-Size: {kibibytes}\n\
         Section: net\n\
         Priority: optional\n\
         Description: share films peer to peer\n \
         Publisher, tracker, page and headless viewer in one static program. Viewers open a link\n \
         in a browser, watch, and pass on what they receive.\n"
    )
}

/// Everything below the root of a file system.
fn files(contents: &Contents) -> Result<Vec<Entry>> {
    let documents = "usr/share/doc/tributary";
    let mut entries = vec![Entry::program("usr/bin/tributary", contents.program())];
    entries.push(Entry::file(format!("{documents}/copyright"), copyright(&contents.texts)));
    entries.extend(below(documents, &contents.texts));
    let (units, others): (Files, Files) =
        contents.deploy.clone().into_iter().partition(|(path, _)| is_unit(&path.to_string_lossy()));
    entries.extend(below(format!("{documents}/examples"), &others));
    for (path, bytes) in units {
        // Packages put programs elsewhere than people who copy them.
        let unit = String::from_utf8(bytes)?.replace("/usr/local/bin/", "/usr/bin/");
        let to = format!("usr/lib/systemd/system/{}", path.display());
        entries.push(Entry::file(to, unit.into_bytes()));
    }
    for (path, bytes) in &contents.manual {
        entries.push(Entry::file(format!("usr/share/man/man1/{}.gz", path.display()), gzip(bytes)?));
    }
    for (shell, folder) in COMPLETIONS {
        let of_shell = contents.completions.iter().filter(|(path, _)| path.starts_with(shell));
        for (path, bytes) in of_shell {
            let name = path.strip_prefix(shell)?.display();
            entries.push(Entry::file(format!("{folder}/{name}"), bytes.clone()));
        }
    }
    Ok(entries)
}

fn is_unit(name: &str) -> bool {
    name.ends_with(".service") || name.ends_with(".socket")
}

/// Debian wants the terms in this file.
fn copyright(texts: &Files) -> Vec<u8> {
    let mut text =
        b"MIT or Apache-2.0, at your option. Terms of what is inside: LICENSES-THIRD-PARTY.txt.\n".to_vec();
    for (_, terms) in texts.iter().filter(|(path, _)| path.to_string_lossy().starts_with("LICENSE-")) {
        text.push(b'\n');
        text.extend_from_slice(terms);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_the_headers_that_ar_writes() {
        let mut package = Vec::new();
        append(&mut package, "debian-binary", b"2.0", 7);
        let header = "debian-binary   7           0     0     100644  3         `\n";
        assert_eq!(package, [header.as_bytes(), b"2.0\n"].concat());
    }

    #[test]
    fn units_name_the_program_where_the_package_puts_it() {
        let entries = files(&Contents::fake()).unwrap();
        let archive = tar(entries, 0).unwrap();
        let text = String::from_utf8_lossy(&archive).into_owned();
        assert!(text.contains("usr/lib/systemd/system/tributary-seed.service"), "{text}");
        assert!(text.contains("ExecStart=/usr/bin/tributary seed"), "{text}");
        assert!(text.contains("usr/share/bash-completion/completions/tributary"), "{text}");
    }
}
