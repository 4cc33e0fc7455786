//! The attributes of a duration policy's cookie.
//!
//! Not here: how a cookie is written (`sticky`), and the second cookie, which has a name of its own
//! ([`CorsCookieName`](super::CorsCookieName)).

/// What stands around the value of a duration policy's cookie. The default is CLB's:
/// `AWSELB=...;PATH=/` (CLB.md §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieTemplate {
    /// An RFC 6265 token of at most 128 bytes, none of the second cookie's names. Default `AWSELB`.
    pub name: String,
    /// Starts with `/`; at most 128 printable ASCII characters, no `;`. Default `/`.
    pub path: String,
    /// The domain that gets the cookie, with its subdomains; no leading dot, at most 128 bytes.
    /// Default `None`: only the host that was asked.
    pub domain: Option<String>,
    /// `SECURE`: browsers send it over HTTPS only. Default false.
    pub is_secure: bool,
    /// `HTTPONLY`: scripts do not see it. Default false.
    pub is_http_only: bool,
    /// `SAMESITE`. Default `None`: the attribute is not written.
    pub same_site: Option<SameSite>,
    /// `PARTITIONED`: one cookie per site that embeds this one. Default false.
    pub is_partitioned: bool,
}

impl Default for CookieTemplate {
    fn default() -> Self {
        Self {
            name: "AWSELB".to_owned(),
            path: "/".to_owned(),
            domain: None,
            is_secure: false,
            is_http_only: false,
            same_site: None,
            is_partitioned: false,
        }
    }
}

/// Whether requests that other sites cause carry the cookie (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Where they navigate to this site by a safe method.
    Lax,
    /// Always; browsers demand that the cookie is secure.
    None,
}

impl SameSite {
    /// The attribute's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}
