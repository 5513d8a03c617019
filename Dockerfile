FROM python:3.13-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY manage.py ./
COPY connect_sim connect_sim
COPY requests_queue requests_queue
COPY webhooks webhooks
COPY portal portal
COPY sandbox sandbox
RUN useradd --create-home --uid 10001 sim
USER sim
EXPOSE 8000
CMD ["python", "manage.py", "web"]
