//! Ad hoc.
use ergane::activities::*;
use ergane::domain::activity::*;
use ergane::domain::id::TenantId;
use ergane::domain::run::Failure;
use ergane::domain::workflow::Retry;
use ergane::domain::workflow::export::to_native;
use ergane::domain::workflow::parse::*;
use ergane::engine::*;
use ergane::store::access::*;
use ergane::store::seam::StoreError;
use ergane::store::tenant::*;
use ergane::store::workflows::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
struct Echo;
impl PlatformActivity for Echo {
    fn spec(&self) -> ActivitySpec {
        ActivitySpec {
            identifier: "test:echo".into(),
            name: "e".into(),
            version: 1,
            category: "t".into(),
            source: "t".into(),
            description: "d".into(),
            input_schema: json!({"type":"object"}),
            output_schema: json!({}),
            reach: Reach::Platform,
            compensation: Compensation::NotNeeded,
            scopes: vec![],
            timeout: Duration::from_secs(5),
            retry: Retry::DEFAULT,
            throttle: None,
        }
    }
    fn run(&self, _: &mut TenantTx<'_, '_>, _: &Caller, input: &Value) -> Result<Done, Failure> {
        Ok(Done { output: input.clone(), undo: Value::Null })
    }
}
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let clients: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let secs: u64 = 4;
    actix::System::new().block_on(async move {
        let store = ergane::store::redb_store::StoreSettings { data_dir: dir.clone().into(), ..Default::default() };
        let a = ergane::boot::Appliance::start(&store, Default::default(), Activities::new(vec![Activity::Platform(Arc::new(Echo))], vec![]), Arc::new(ergane::metrics::Metrics::new())).await.unwrap();
        let e = a.app().engine().clone();
        let row = TenantRow { id: TenantId(1), slug: "a".into(), name: "a".into(), created_at: Default::default() };
        let r2 = row.clone();
        e.transact(APPLIANCE, move |tx| { tx.put_tenant(&row); Ok::<_, StoreError>(()) }).await.unwrap();
        e.open_tenant(r2).await.unwrap();
        let def = json!({"name":"w","trigger":{"event":"t:h","filter":{"ticket.priority":{"~in":["high","urgent"]}}},"steps":[
          {"id":"a","activity":"test:echo","input":{"n":"{{trigger.payload.ticket.id}}"}},
          {"id":"b","activity":"test:echo","input":{"n":"{{steps.a.output.n}}"}},
          {"id":"c","activity":"test:echo","input":{"n":"done {{steps.b.output.n}}"}}]});
        let et = |k: &str| Some(KnownEvent{kind:k.to_owned(),schema:json!(true)});
        let known = Known{catalogue:e.activities().catalogue(), event_type:&et, event_names:&[], limits: Default::default()};
        let w = parse(&def,&known).unwrap();
        let v = VersionRow{name:"w".into(),version:1,uid:"".into(),definition:to_native(&w),source:None,warnings:vec![],created_by:"".into(),created_at:Default::default()};
        let wr = WorkflowRow{name:"w".into(),unique_identifier:"".into(),version:1,newest:1,active:true,deleted_at:None,created_at:Default::default(),updated_at:Default::default()};
        e.transact(TenantId(1), move |tx| { tx.put_version(&v); tx.put_workflow(&wr); Ok::<_, StoreError>(()) }).await.unwrap();
        let begun = Instant::now();
        let n = std::rc::Rc::new(std::cell::Cell::new(0u64));
        let mut tasks = vec![];
        for c in 0..clients { let e = e.clone(); let n = n.clone();
            tasks.push(actix::spawn(async move { let mut i = 0u64; while begun.elapsed().as_secs() < secs { i += 1;
                let ev = IncomingEvent{id:None,kind:"t:h".into(),source:"bench".into(),payload:json!({"ticket":{"id":format!("{c}-{i}"),"priority":"urgent","title":"x".repeat(600)}}),..Default::default()};
                let acc = e.publish(TenantId(1), vec![ev]).await.unwrap(); assert_eq!(acc[0].runs.len(),1); n.set(n.get()+1); } })); }
        for t in tasks { t.await.unwrap(); }
        let el = begun.elapsed().as_secs_f64();
        let snap = e.snapshot(TenantId(1)).unwrap();
        let tot = TenantView::new(TenantId(1), &snap).totals().unwrap();
        println!("{clients} clients: {:.0}/s, {:.2} ms; totals {:?}; disk/run {}", n.get() as f64/el, clients as f64*el*1000.0/n.get() as f64, tot, std::fs::metadata(format!("{dir}/ergane.redb")).unwrap().len()/n.get());
        a.stop().await;
    });
}
