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
        .layer(RouteLayer::new(catalog))
        .layer(TranslateLayer::new())
        .layer(RetryLayer::new(RetryPolicy::new()))
        .service(Transport::local());
}
