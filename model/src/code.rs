//! Every EX_ and EW_ code: name, number and text (`cci` 4.2), in one place.
//!
//! The number is the exit code; 0 to 127 is the class of success. Texts the public manuals leave
//! unsure are our wording; `docs/parity.md` says so.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($variant:ident = $number:literal, $name:literal, $text:literal;)*) => {
        /// An error or warning code of CCI.
        #[allow(missing_docs, reason = "name and text of each stand in the table below")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code { $($variant),* }

        impl Code {
            /// Every code, EX_ and EW_.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The exit code.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number),* }
            }

            /// The name as printed between brackets.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The text after the brackets.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

codes! {
    ExComerr = 255, "EX_COMERR", "Can't be communicate with HORC manager";
    ExReqarg = 254, "EX_REQARG", "Required Arg list";
    ExInvarg = 253, "EX_INVARG", "Invalid argument";
    EwInvarg = 253, "EW_INVARG", "Invalid argument";
    ExUnwopt = 252, "EX_UNWOPT", "Unknown option";
    EwUnwopt = 252, "EW_UNWOPT", "Unknown option";
    ExAtthor = 251, "EX_ATTHOR", "Can't be attached to HORC manager";
    ExAttdbg = 250, "EX_ATTDBG", "Can't be attached to a Debug layer";
    ExInvnam = 249, "EX_INVNAM", "Invalid name of option";
    ExOptinv = 248, "EX_OPTINV", "A specified option is invalid";
    ExEnoent = 247, "EX_ENOENT", "No such device or group";
    ExEnodev = 246, "EX_ENODEV", "No such device";
    ExEnomem = 245, "EX_ENOMEM", "Not enough core";
    ExErange = 244, "EX_ERANGE", "Result too large";
    ExEnamlg = 243, "EX_ENAMLG", "File name too long";
    ExEnormt = 242, "EX_ENORMT", "No remote host alive for remote commands, or Remote CCI might be blocked (sleeping) on an existing I/O";
    ExInvmod = 241, "EX_INVMOD", "Invalid RAID command mode";
    ExInvcmd = 240, "EX_INVCMD", "Invalid RAID command";
    ExEnogrp = 239, "EX_ENOGRP", "No such group";
    ExUnwcod = 238, "EX_UNWCOD", "Unknown function code";
    ExCmdioe = 237, "EX_CMDIOE", "Control command I/O error";
    ExEnqvol = 236, "EX_ENQVOL", "Unmatched volume status within the group";
    ExEvolce = 235, "EX_EVOLCE", "Pair volume combination error";
    ExEwsuse = 234, "EX_EWSUSE", "Pair suspended at WAIT state";
    ExEwstot = 233, "EX_EWSTOT", "Timeout waiting for specified status";
    ExEwslto = 232, "EX_EWSLTO", "Timeout waiting for specified status on the local host";
    ExEstmon = 231, "EX_ESTMON", "HORCM Monitor stopped";
    ExUnwcmd = 230, "EX_UNWCMD", "Unknown command";
    ExIncstg = 229, "EX_INCSTG", "Inconsistent status in group";
    ExInvstp = 228, "EX_INVSTP", "Invalid pair status";
    ExEnldev = 227, "EX_ENLDEV", "No such LDEV within the RAID";
    ExInvrcd = 226, "EX_INVRCD", "Invalid return code";
    ExVolcur = 225, "EX_VOLCUR", "S-VOL currency error";
    ExVolcue = 224, "EX_VOLCUE", "Local volume currency error";
    ExVolcre = 223, "EX_VOLCRE", "Local and remote volume currency error";
    ExInvvol = 222, "EX_INVVOL", "Invalid volume status";
    ExCmdrje = 221, "EX_CMDRJE", "An order to the control/command device was rejected";
    ExInvmun = 220, "EX_INVMUN", "Invalid mu# with HORC or HOMRCF";
    ExEnount = 219, "EX_ENOUNT", "No such RAID unit";
    ExEnqser = 218, "EX_ENQSER", "Unmatched Serial# vs RAID unit";
    ExEnoctg = 217, "EX_ENOCTG", "Not enough CT groups in the RAID";
    ExExtctg = 216, "EX_EXTCTG", "Extended CTgroup across RAIDs";
    ExEnxctg = 215, "EX_ENXCTG", "No CT groups left for OPEN Vol use";
    ExEnqctg = 214, "EX_ENQCTG", "Unmatched CTGID within the group";
    ExEnperm = 213, "EX_ENPERM", "Permission denied with the LDEV";
    ExEnqsiz = 212, "EX_ENQSIZ", "Unmatched volume size for pairing";
    ExErperm = 211, "EX_ERPERM", "Permission denied with the RAID";
    ExEnosup = 210, "EX_ENOSUP", "Micro code not supported";
    ExEsvold = 209, "EX_ESVOLD", "SVOL denied due to be guarded";
    ExEprort = 208, "EX_EPRORT", "Mode changes denied due to retention time";
    ExEsperm = 207, "EX_ESPERM", "Permission denied with the SLPR";
    ExEnopol = 206, "EX_ENOPOL", "Not enough Pool in RAID";
    ExEnoobj = 205, "EX_ENOOBJ", "No such Object in the RAID";
    ExEnqclp = 204, "EX_ENQCLP", "Unmatched CLPR between P-VOL and S-VOL";
    ExEpperm = 203, "EX_EPPERM", "Permission denied with the Privilege";
    ExEnauth = 202, "EX_ENAUTH", "Authentication failed with User";
    ExEacces = 200, "EX_EACCES", "Access denied";
    ExCtxchk = 199, "EX_CTXCHK", "Context check error";
    EwInvopt = 131, "EW_INVOPT", "Invalid option";
    EwReqcmd = 131, "EW_REQCMD", "Required command";
    EwMaxarg = 131, "EW_MAXARG", "Too many arguments";
    EwLngarg = 131, "EW_LNGARG", "Argument is too long";
    EwInvopa = 131, "EW_INVOPA", "Invalid option argument";
    EwEnfile = 131, "EW_ENFILE", "No such file";
    EwEnescr = 131, "EW_ENESCR", "No such script";
}

impl fmt::Display for Code {
    /// `[EX_ENOGRP] No such group`, as every command prints it after its own name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.name(), self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_numbers_lie_in_the_abnormal_class() {
        let names: HashSet<_> = Code::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|c| c.number() >= 128));
    }

    #[test]
    fn ex_numbers_are_unique() {
        let ex = || Code::ALL.iter().filter(|c| c.name().starts_with("EX_"));
        let numbers: HashSet<_> = ex().map(|c| c.number()).collect();
        assert_eq!(numbers.len(), ex().count());
    }

    #[test]
    fn numbers_scripts_depend_on() {
        let pinned = [
            (Code::ExComerr, 255),
            (Code::ExReqarg, 254),
            (Code::ExUnwopt, 252),
            (Code::ExAtthor, 251),
            (Code::ExEnormt, 242),
            (Code::ExEnogrp, 239),
            (Code::ExCmdioe, 237),
            (Code::ExEwstot, 233),
            (Code::ExInvstp, 228),
            (Code::ExEnqsiz, 212),
            (Code::ExEnauth, 202),
        ];
        for (code, number) in pinned {
            assert_eq!(code.number(), number, "{}", code.name());
        }
    }
}
