# The operator's image. The binary comes from `make build`, static, so the base can be empty:
#   docker build -t gracefulapp:0.1.0 .
FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="gracefulapp" \
      org.opencontainers.image.description="Kubernetes operator: scaling, rollouts and drains without a lost request" \
      org.opencontainers.image.source="https://github.com/gracefulapp/gracefulapp" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY bin/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
