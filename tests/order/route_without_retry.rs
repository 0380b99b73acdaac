use portcullis::{catalog::Catalog, route::RouteLayer, translate::TranslateLayer, transport::Transport};
use tower::ServiceBuilder;

fn main() {
    let catalog = Catalog::builder().build().unwrap();
    let _ = ServiceBuilder::new().layer(RouteLayer::new(catalog)).layer(TranslateLayer::new()).service(Transport::local());
}
