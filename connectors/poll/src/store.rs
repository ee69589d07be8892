//! A place where logs come to lie as objects: S3, Google or Azure storage, or a folder.
//! Promises: an object is fetched in the version that was listed, or not at all. What a place wants to know to be asked is read from
//! the settings that its own tools use (`AWS_…`, `GOOGLE_…`, `AZURE_…`).

use std::path::{Path, PathBuf};

use futures::StreamExt;
use hostread_connectors_kit::text::cut;
use object_store::{GetOptions, ObjectStore, ObjectStoreScheme, parse_url_opts};
use reqwest::Url;
use tokio::io::AsyncWriteExt;

/// A larger object is told, and not taken. CDNs cut their logs at some hundred megabytes.
pub const OBJECT_BYTES_MAX: u64 = 16 << 30;
/// Objects of one listing that are kept to be taken; the others are found at the next.
pub const LISTED_MAX: usize = 100_000;

/// Why a place gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// None that is known.
    #[error("\"{0}\" is no place such as s3://BUCKET/FOLDER, gs://…, az://… or file:///FOLDER")]
    Address(String),
    /// None of this machine.
    #[error("there is no folder {}", .0.display())]
    Folder(PathBuf),
    /// It cannot be asked, or says no.
    #[error("the store does not give {what}: {why}")]
    Store {
        /// What was asked.
        what: String,
        /// Why not, cut to a line: the store's own errors repeat each other with the whole answer.
        why: String,
    },
    /// The object changed after it was listed; the next listing has it.
    #[error("it changed while it was fetched")]
    Changed,
    /// The copy cannot be written.
    #[error("the copy of it cannot be written")]
    Copy(#[source] std::io::Error),
}

/// An object, as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its path in the store.
    pub key: String,
    /// Says whether it is the same as before.
    pub version: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written.
    pub changed_ms: i64,
}

impl Object {
    /// The last part of its key.
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Place {
    store: Box<dyn ObjectStore>,
    folder: object_store::path::Path,
    is_folder: bool,
}

impl Place {
    /// Opens an address; `settings` are name and value pairs, such as the environment's.
    pub fn open(
        address: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StoreError> {
        let wrong = || StoreError::Address(address.to_owned());
        let url = Url::parse(address).map_err(|_| wrong())?;
        let (scheme, _) = ObjectStoreScheme::parse(&url).map_err(|_| wrong())?;
        let is_folder = matches!(scheme, ObjectStoreScheme::Local);
        if is_folder {
            // The store would list nothing, for ever.
            let path = url.to_file_path().map_err(|()| wrong())?;
            if !path.is_dir() {
                return Err(StoreError::Folder(path));
            }
        }
        let named = ["aws_", "google_", "azure_"];
        let settings = settings
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value));
        let settings =
            settings.filter(|(name, _)| named.iter().any(|start| name.starts_with(start)));
        let opened = parse_url_opts(&url, settings);
        let (store, folder) =
            opened.map_err(|error| refused(format!("access to {address}"), &error))?;
        Ok(Self {
            store,
            folder,
            is_folder,
        })
    }

    /// A folder's files appear before they are whole.
    pub const fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// Shows every object that has bytes; keeps those that are `wanted`, the oldest first.
    pub async fn list(
        &self,
        mut wanted: impl FnMut(&Object) -> bool,
    ) -> Result<Vec<Object>, StoreError> {
        let mut all = self.store.list(Some(&self.folder));
        let mut kept = Vec::new();
        while let Some(listed) = all.next().await {
            let listed = listed.map_err(|error| refused("its list of objects", &error))?;
            let changed_ms = listed.last_modified.timestamp_millis();
            let object = Object {
                key: listed.location.to_string(),
                version: match listed.e_tag {
                    Some(etag) => etag,
                    None => format!("{changed_ms}-{}", listed.size),
                },
                bytes: listed.size,
                changed_ms,
            };
            if object.bytes > 0 && wanted(&object) && kept.len() < LISTED_MAX {
                kept.push(object);
            }
        }
        kept.sort_by(|one, other| (one.changed_ms, &one.key).cmp(&(other.changed_ms, &other.key)));
        Ok(kept)
    }

    /// Copies an object into a file.
    pub async fn fetch(&self, object: &Object, to: &Path) -> Result<(), StoreError> {
        let failed = |error| match error {
            object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. } => {
                StoreError::Changed
            }
            error => refused(&object.key, &error),
        };
        let location = object_store::path::Path::parse(&object.key);
        let location = location.map_err(|error| failed(error.into()))?;
        let found = self.store.get_opts(&location, GetOptions::default()).await;
        let found = found.map_err(failed)?;
        // The answer says which version it is of: what was listed may be gone since.
        let version = match &found.meta.e_tag {
            Some(etag) => etag.clone(),
            None => format!(
                "{}-{}",
                found.meta.last_modified.timestamp_millis(),
                found.meta.size
            ),
        };
        if version != object.version {
            return Err(StoreError::Changed);
        }
        let mut file = tokio::fs::File::create(to)
            .await
            .map_err(StoreError::Copy)?;
        let mut parts = found.into_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(failed)?;
            file.write_all(&part).await.map_err(StoreError::Copy)?;
        }
        file.flush().await.map_err(StoreError::Copy)
    }
}

fn refused(what: impl Into<String>, error: &object_store::Error) -> StoreError {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    StoreError::Store {
        what: what.into(),
        why: cut(line, 300).to_owned(),
    }
}
