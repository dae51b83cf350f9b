//! Extractors whose refusals are `{"detail": ...}` too.

use super::bodies::{self, Share};
use crate::{
    error::ApiError,
    values::{self, VALUE_BYTES, VALUES_MAX},
};
use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::JsonRejection},
    http::request::Parts,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::marker::PhantomData;

/// A JSON body, an object; a wrong one is 422 and says where.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // Whether it says that it is JSON, before anything is read.
        let empty = Request::from_parts(parts.clone(), axum::body::Body::empty());
        if let Err(JsonRejection::MissingJsonContentType(other)) = Json::<Fields<T>>::from_request(empty, state).await {
            return Err(ApiError::unprocessable(other.body_text()));
        }
        let text = bodies::read(body).await?;
        let count = values::count(&text);
        if count > VALUES_MAX {
            let told = format!("the body has more than {VALUES_MAX} values; send what is large as a file");
            return Err(ApiError::too_large(told));
        }
        if let Some(share) = parts.extensions.get::<Share>() {
            share.grow(count * VALUE_BYTES)?;
        }
        let Json(Fields(value)) =
            Json::<Fields<T>>::from_bytes(&text).map_err(|rejection| ApiError::unprocessable(rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// A value of named fields: what is derived for one also takes a list of their values, which no document speaks of.
#[derive(Debug)]
pub struct Fields<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Fields<T>;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fields<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Fields)
            }
        }
        from.deserialize_map(Object(PhantomData))
    }
}

/// A query string; a wrong one is 422 and says where.
#[derive(Debug, Clone, Copy)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|rejection| ApiError::unprocessable(rejection.body_text()))
    }
}

/// A part of the path; one that is no UTF-8 names nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| ApiError::not_found("Not Found"))
    }
}
