//! The VFS itself: a thin layer over the system's. All of the crate's `unsafe` is here.
//!
//! A file of ours is [`File`] followed in memory by the system's file object; SQLite allocates `szOsFile` bytes for both.
//! Every method finds the second from the first, passes the call on, and records it if it succeeded.
#![allow(unsafe_code, reason = "a VFS is a table of C functions that SQLite calls with raw pointers")]

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::trace::{Fault, FileId, Op, Shared};

/// What we add in front of the system's file object.
#[repr(C, align(8))]
struct File {
    base: sqlite3_file,
    shared: &'static Shared,
    /// `None`: a temporary file, which no power cut leaves behind.
    id: Option<FileId>,
}

/// What our VFS knows: the system's VFS and the history. Reached through `pAppData`; never freed.
struct App {
    system: *mut sqlite3_vfs,
    shared: &'static Shared,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // 2: with shared memory for WAL, without memory-mapped reads.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Registers a recording VFS. Each has its own history; none is ever unregistered.
pub(crate) fn register() -> &'static Shared {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("powercut-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let c_name = CString::new(name.clone()).unwrap_or_default();
    let shared: &'static Shared = Box::leak(Box::new(Shared::new(name)));
    // SAFETY: the system's VFS is a valid struct for the life of the process. Ours is a leaked copy of it, so it and all it
    // points to live as long. The copied methods that are not replaced do not look at the VFS they are called with.
    unsafe {
        assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
        let system = ffi::sqlite3_vfs_find(ptr::null());
        let app: &'static App = Box::leak(Box::new(App { system, shared }));
        let mut ours = ptr::read(system);
        ours.szOsFile += size_of::<File>() as c_int;
        ours.pNext = ptr::null_mut();
        ours.zName = c_name.into_raw();
        ours.pAppData = ptr::from_ref(app).cast_mut().cast();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        let registered = ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 0);
        assert_eq!(registered, ffi::SQLITE_OK);
    }
    shared
}

/// # Safety
/// `vfs` is one that [`register`] made.
unsafe fn app(vfs: *mut sqlite3_vfs) -> &'static App {
    // SAFETY: see above; the App is leaked and never changed.
    unsafe { &*(*vfs).pAppData.cast::<App>() }
}

/// # Safety
/// `name` is null or a C string that lives through `'a`.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: not null, and SQLite terminates its strings.
    Some(Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes())))
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives us our own VFS and szOsFile bytes of zeroed memory for the file.
    unsafe {
        let app = app(vfs);
        let path: Option<PathBuf> = path(name).map(Path::to_owned);
        let before = path.as_ref().filter(|path| !app.shared.knows(path)).and_then(|path| std::fs::read(path).ok());
        (*file).pMethods = ptr::null();
        let Some(system_open) = (*app.system).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = system_open(app.system, name, system_file(file), flags, out);
        if code == ffi::SQLITE_OK {
            let id = path.map(|path| app.shared.opened(&path, before));
            ptr::write(
                file.cast::<File>(),
                File { base: sqlite3_file { pMethods: &raw const METHODS }, shared: app.shared, id },
            );
        }
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: as for `open`.
    unsafe {
        let app = app(vfs);
        let Some(system_delete) = (*app.system).xDelete else { return ffi::SQLITE_IOERR_DELETE };
        // The directory's real sync is left out: what is durable is decided by the trace.
        let code = system_delete(app.system, name, 0);
        if code == ffi::SQLITE_OK
            && let Some(path) = path(name)
        {
            app.shared.deleted(path, sync_dir != 0);
        }
        code
    }
}

/// The system's file object behind ours.
fn system_file(file: *mut sqlite3_file) -> *mut sqlite3_file {
    file.cast::<u8>().wrapping_add(size_of::<File>()).cast()
}

/// # Safety
/// `file` was opened by [`open`] and is not closed.
unsafe fn ours<'a>(file: *mut sqlite3_file) -> &'a File {
    // SAFETY: see above; only `open` and `close` write it, and SQLite never calls them at the same time as others.
    unsafe { &*file.cast::<File>() }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, data: *const c_void, len: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: an open file of ours, and `len` readable bytes at `data`.
    unsafe {
        let File { shared, id, .. } = ours(file);
        match shared.fault() {
            Some(Fault::Write) => return ffi::SQLITE_IOERR_WRITE,
            Some(Fault::Full) => return ffi::SQLITE_FULL,
            Some(Fault::Sync) | None => {}
        }
        let code = forward(file, |methods| methods.xWrite, |f, file| f(file, data, len, offset));
        if code == ffi::SQLITE_OK
            && let Some(id) = *id
        {
            let data = std::slice::from_raw_parts(data.cast::<u8>(), len as usize).to_vec();
            shared.push(Op::Write { file: id, offset: offset as u64, data });
        }
        code
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: an open file of ours.
    unsafe {
        let code = forward(file, |methods| methods.xTruncate, |f, file| f(file, size));
        if code == ffi::SQLITE_OK
            && let File { shared, id: Some(id), .. } = ours(file)
        {
            shared.push(Op::Truncate { file: *id, size: size as u64 });
        }
        code
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: an open file of ours.
    let File { shared, id, .. } = unsafe { ours(file) };
    if shared.fault() == Some(Fault::Sync) {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    // The real disk is not asked: what is durable is decided by the trace, and the test is faster.
    if let Some(id) = *id {
        shared.push(Op::Sync { file: id, upto: shared.now() });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: an open file of ours; nobody uses it after this.
    unsafe {
        let code = forward(file, |methods| methods.xClose, |f, file| f(file));
        (*file).pMethods = ptr::null();
        code
    }
}

/// Calls the system's method, if it has one.
///
/// # Safety
/// `file` is an open file of ours.
unsafe fn forward<F>(
    file: *mut sqlite3_file,
    method: impl FnOnce(&sqlite3_io_methods) -> Option<F>,
    call: impl FnOnce(F, *mut sqlite3_file) -> c_int,
) -> c_int {
    let system = system_file(file);
    // SAFETY: `open` succeeded, so the system's file object behind ours is valid and has its methods.
    match method(unsafe { &*(*system).pMethods }) {
        Some(method) => call(method, system),
        None => ffi::SQLITE_IOERR,
    }
}

/// Methods that are only passed on.
macro_rules! forwarded {
    ($($name:ident => $method:ident($($arg:ident: $type:ty),*);)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $arg: $type)*) -> c_int {
            // SAFETY: SQLite calls it with an open file of ours and what the system's method wants.
            unsafe { forward(file, |methods| methods.$method, |f, file| f(file $(, $arg)*)) }
        }
    )*};
}

forwarded! {
    read => xRead(data: *mut c_void, len: c_int, offset: sqlite3_int64);
    file_size => xFileSize(size: *mut sqlite3_int64);
    lock => xLock(level: c_int);
    unlock => xUnlock(level: c_int);
    check_reserved_lock => xCheckReservedLock(out: *mut c_int);
    file_control => xFileControl(op: c_int, arg: *mut c_void);
    sector_size => xSectorSize();
    device_characteristics => xDeviceCharacteristics();
    shm_map => xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
    shm_lock => xShmLock(offset: c_int, n: c_int, flags: c_int);
    shm_unmap => xShmUnmap(remove: c_int);
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    let barrier = |f: unsafe extern "C" fn(*mut sqlite3_file), file| {
        // SAFETY: the system's own file object.
        unsafe { f(file) };
        ffi::SQLITE_OK
    };
    // SAFETY: an open file of ours. A system without shared memory has no barrier to pass.
    let _done = unsafe { forward(file, |methods| methods.xShmBarrier, barrier) };
}
