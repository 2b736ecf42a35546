# The operator's image: make docker-build
# hack/build-image.sh replaces the stage builder by a folder with the binary of `make build`, so the embedded cluster's image is the same.
FROM --platform=$BUILDPLATFORM golang:1.26 AS builder
WORKDIR /workspace
COPY go.mod go.sum ./
COPY drain/go.mod drain/
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o bin/manager ./cmd

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="gracefulapp" \
      org.opencontainers.image.description="Kubernetes operator: scaling, rollouts and drains without a lost request" \
      org.opencontainers.image.source="https://github.com/gracefulapp/gracefulapp" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=builder /workspace/bin/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
