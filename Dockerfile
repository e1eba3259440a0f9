# The locked packages and the project, installed by the same script as everywhere.
FROM python:3.13-slim AS build
WORKDIR /app
COPY pyproject.toml README.md ./
COPY .ci/setup .ci/requirements.txt .ci/
COPY cds_service/ cds_service/
RUN .ci/setup

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin cds \
    && install --directory --owner=cds --group=cds /var/lib/cds-service
WORKDIR /app
COPY --from=build /app/.venv/ .venv/
COPY cds_service/ cds_service/
COPY plans/ plans/
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CDS_PLANS=/app/plans \
    CDS_DATABASE_URL=sqlite:////var/lib/cds-service/cds-service.db
# The decision log must outlive the container: mount this.
VOLUME /var/lib/cds-service
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["cds-service", "serve", "--host", "0.0.0.0"]
