//! The families of keys: within a space each has a letter of its own, which the compiler sees to.
//! A letter is part of the format of the file and never changes its meaning.

/// Families of `Space::Row`.
#[repr(u8)]
pub(super) enum Row {
    ApiImport = b'o',
    AiUsage = b'u',
    AlertBook = b'!',
    App = b'P',
    Approval = b'Y',
    AuditRecord = b'A',
    BulkJob = b'Q',
    BulkMembers = b'i',
    Connection = b'C',
    ConnectionTest = b't',
    CustomActivity = b'c',
    Delivery = b'D',
    EventType = b'E',
    EventTypeSchema = b'f',
    Form = b'F',
    Incident = b'I',
    Notice = b'$',
    Record = b'r',
    RejectedEvent = b'J',
    RunView = b'v',
    Schedule = b'Z',
    Secret = b'X',
    Throttle = b'T',
    Task = b'j',
    Version = b'V',
    Webhook = b'O',
    Workflow = b'W',
}

/// Families of `Space::Meta`.
#[repr(u8)]
pub(super) enum Meta {
    AuditCut = b'x',
    AuditHead = b'a',
    AuditOrigins = b'o',
    ClockSeen = b'C',
    CountOfWorkflow = b'k',
    Hook = b'H',
    Hour = b'h',
    Key = b'K',
    Link = b'L',
    Minute = b'i',
    Moving = b'm',
    Pause = b'p',
    Person = b'P',
    PersonByEmail = b'M',
    RejectedEvents = b'J',
    Retention = b'R',
    SealCheck = b'z',
    Sequence = b'q',
    Session = b'S',
    StorageSample = b'b',
    TaskWindow = b'j',
    Tenant = b'T',
    ThrottleUses = b'U',
    Totals = b'n',
    Used = b'u',
    Window = b'G',
    WindowCount = b'#',
    WindowMember = b'g',
}

/// Families of `Space::Vis`.
#[repr(u8)]
pub(super) enum Vis {
    ChildRecord = b'p',
    DeferredCall = b'd',
    EventOfKind = b't',
    Notice = b'I',
    RunByConcurrency = b'c',
    RunByPriority = b'y',
    RunByStatus = b's',
    RunByWorkflow = b'w',
    TaskQueued = b'j',
    UniqueRecord = b'u',
    Wait = b'A',
    Webhook = b'O',
}

/// Families of `Space::Dedupe`.
#[repr(u8)]
pub(super) enum Dedupe {
    Answer = b'i',
    RepeatsOfEvent = b'd',
    SeenEvent = b'e',
}

/// Families of `Space::Blob`.
#[repr(u8)]
pub(super) enum Blob {
    GivenToRun = b'v',
}

// One constant serves the rows of a webhook and the index of its deliveries alike.
const _: () = assert!(Row::Webhook as u8 == Vis::Webhook as u8);
const _: () = assert!(Row::RejectedEvent as u8 == Meta::RejectedEvents as u8);
