//! Providers that break off, stall, or are left alone.

use std::future::pending;

use super::*;

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced_unseen() {
    let addr = raw_server(|_, mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
    })
    .await;
    let (upstreams, key) = (client(Timeouts::default()), key());
    for _ in 0..5 {
        let request = Request::post(format!("http://{NAME}:{}/", addr.port()))
            .body(Bytes::from_static(b"x"))
            .unwrap();
        let response = upstreams.send(key, request).await.unwrap();
        assert_eq!(read(response).await.unwrap(), "ok");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_request_that_was_sent_is_never_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let addr = raw_server(move |_, mut tcp| {
        let seen = Arc::clone(&seen);
        async move {
            // One answer, then a reset in the middle of the next exchange.
            read_head(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            if !read_head(&mut tcp).await.is_empty() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let (upstreams, key) = (client(Timeouts::default()), key());
    read(upstreams.send(key, get(addr, "/1")).await.unwrap())
        .await
        .unwrap();
    let error = upstreams.send(key, get(addr, "/2")).await.unwrap_err();
    assert_eq!(error.failure, Failure::Reset);
    assert!(error.sent);
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stalled_provider_times_out_before_and_within_its_answer() {
    let addr = raw_server(|_, mut tcp| async move {
        if read_head(&mut tcp).await.starts_with("GET /body") {
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
                .await
                .unwrap();
        }
        pending::<()>().await;
    })
    .await;
    let upstreams = client(Timeouts {
        headers: Duration::from_millis(100),
        body_idle: Duration::from_millis(100),
        ..Timeouts::default()
    });
    let error = upstreams.send(key(), get(addr, "/head")).await.unwrap_err();
    assert_eq!((error.failure, error.sent), (Failure::Timeout, true));
    let response = upstreams.send(key(), get(addr, "/body")).await.unwrap();
    assert_eq!(read(response).await.unwrap_err(), BodyError::Idle);
    assert_eq!(upstreams.idle(), 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_not_an_end() {
    let addr = raw_server(|_, mut tcp| async move {
        read_head(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
            .await
            .unwrap();
    })
    .await;
    let upstreams = client(Timeouts::default());
    let response = upstreams.send(key(), get(addr, "/")).await.unwrap();
    assert_eq!(read(response).await.unwrap_err(), BodyError::Reset);
    assert_eq!(upstreams.idle(), 0);
}

#[tokio::test]
async fn dropping_the_answer_hangs_up_on_the_provider() {
    let (gone, hung_up) = tokio::sync::oneshot::channel();
    let gone = std::sync::Mutex::new(Some(gone));
    let addr = raw_server(move |_, mut tcp| {
        let gone = gone.lock().unwrap().take();
        async move {
            read_head(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\nendless")
                .await
                .unwrap();
            let read = tcp.read(&mut [0; 8]).await;
            let _ = gone.unwrap().send(read.map_or(true, |n| n == 0));
        }
    })
    .await;
    let upstreams = client(Timeouts::default());
    drop(upstreams.send(key(), get(addr, "/")).await.unwrap());
    let hung_up = tokio::time::timeout(Duration::from_secs(5), hung_up)
        .await
        .unwrap()
        .unwrap();
    assert!(hung_up);
    assert_eq!(upstreams.idle(), 0);
}
