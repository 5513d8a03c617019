# Two targets: `sandbox`, the last one and so the default, and `server` for docker-compose.yml.
# docs/containers.md says how to use them.
FROM python:3.13-slim AS base
LABEL org.opencontainers.image.title="Connect Sim" \
      org.opencontainers.image.description="A stand-in for CloudBlue Connect for authors of webhook handlers" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/app \
    SIM_BIND=0.0.0.0:8000 SIM_DATA_DIR=/data SIM_IN_CONTAINER=true
WORKDIR /app
# With the extras for traces, which are off unless SIM_OTLP_ENDPOINT is set, and for MCP.
COPY requirements-otel.txt requirements-mcp.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-otel.txt -r requirements-mcp.txt
COPY LICENSE manage.py connect-sim ./
COPY connect_sim connect_sim
COPY requests_queue requests_queue
COPY webhooks webhooks
COPY extensions extensions
COPY portal portal
COPY checks checks
COPY sandbox sandbox
COPY docs docs
COPY skills skills
# Readable for the user below, also from a checkout that is private to its owner; compiled now,
# because the processes cannot write to /app.
RUN chmod -R a+rX . \
    && python -m compileall -q . \
    && ln -s /app/connect-sim /usr/local/bin/connect-sim \
    && groupadd --gid 10001 sim \
    && useradd --no-log-init --create-home --uid 10001 --gid sim sim \
    && install --directory --owner sim --group sim --mode 700 /data
USER 10001:10001
EXPOSE 8000

# docker-compose.yml gives each service its command; this one is the web server.
FROM base AS server
ENV SIM_PROFILE=server
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-m", "connect_sim.probe", "/healthz"]
CMD ["python", "manage.py", "web"]

FROM base AS sandbox
# Exact names, as which other containers know this one, and of the host: a web page of a name that
# is accepted could reach the sandbox through a browser (DNS rebinding).
ENV SIM_ALLOWED_HOSTS=connect-sim,sandbox,host.docker.internal
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s \
    CMD ["python", "-m", "connect_sim.probe", "/readyz"]
ENTRYPOINT ["connect-sim"]
CMD ["sandbox"]
