use portcullis::{
    catalog::Catalog,
    retry::{RetryLayer, RetryPolicy},
    route::RouteLayer,
    translate::TranslateLayer,
    transport::Transport,
};
use tower::ServiceBuilder;

fn main() {
    let catalog = Catalog::builder().build().unwrap();
    let _ = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::new()))
        .layer(RouteLayer::new(catalog))
        .layer(TranslateLayer::new())
        .service(Transport::local());
}
