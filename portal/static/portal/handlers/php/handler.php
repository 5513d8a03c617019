<?php

// A Connect webhook handler: approves pending orders of a product, and validates drafts.
//
// It needs PHP 8.1 or newer, and no package. Change `approve` and `validate` to what yours does.
// `php -S 127.0.0.1:9000 handler.php` serves it, as any web server with PHP does. On the command
// line, `php handler.php` processes what is pending, at the start or by cron: nobody calls again for
// what was pending when a server was killed after its response.

ini_set('display_errors', '0'); // They would become a part of responses; the log has them.
define('API_KEY', getenv('CONNECT_API_KEY'));
define('JWT_SECRET', getenv('JWT_SECRET'));
// Optional for the server: the API of the token, and all products, by default.
define('API_URL', getenv('CONNECT_API_URL'));
define('PRODUCT_ID', getenv('PRODUCT_ID'));
const PATIENCE = 3; // Seconds until a call is answered, although its work goes on.
const LONGEST_PAUSE = 60; // Seconds between two runs while they fail.
const API_TIMEOUT = 20;
const PAGE = 100;
const FREE_MAIL = ['gmail.com', 'outlook.com', 'yahoo.com'];

function approve_pending(Api $api, string $product): void
{
    // Read all pages first: approving while paging through them would skip some.
    $orders = read_pending($api, $product);
    $template = $orders ? find_template($api, $product) : null;
    $refused = null;
    foreach ($orders as $id) {
        try {
            approve($api, $id, $template);
        } catch (ApiError $error) {
            if (!$error->is_refusal) {
                throw $error;
            }
            $refused = $error; // The other orders don't have to wait for this one.
        }
    }
    if ($refused) {
        throw $refused;
    }
}

// Your work goes here. The order's `type` says which: a purchase, a change and so on.
function approve(Api $api, string $id, ?string $template): void
{
    $path = "/requests/$id";
    $order = $api->call('GET', $path);
    if ($order['status'] !== 'pending') {
        return; // Somebody has processed it since the list was read.
    }
    // Only empty parameters get a value, and it is the same in a second run. Connect keeps an error
    // when the value changes: an empty value_error clears it.
    $params = [];
    foreach ($order['asset']['params'] as $param) {
        $is_empty = in_array($param['value'], ['', null], true); // "0" is a value.
        if ($param['phase'] === 'fulfillment' && $param['constraints']['required'] && $is_empty) {
            $params[] = ['id' => $param['id'], 'value' => "{$param['id']}-$id", 'value_error' => ''];
        }
    }
    try {
        if ($params) {
            $api->call('PUT', $path, ['asset' => ['params' => $params]]);
        }
        $api->call('POST', "$path/approve", $template ? ['template_id' => $template] : []);
        log_line("approved $id");
    } catch (ApiError $error) {
        if (!$error->is_refusal || $api->call('GET', $path)['status'] === 'pending') {
            throw $error;
        }
    }
}

// Sets or clears the errors of a draft, and returns it. The rules are for the demo products.
function validate(stdClass $order): stdClass
{
    $params = array_column($order->asset->params ?? [], null, 'id');
    $value = fn (string $id) => $params[$id]->value ?? null;
    $advanced = $value('edition') === 'advanced';
    foreach (['domain', 'customer_domain'] as $id) {
        if (isset($params[$id])) {
            $is_free = in_array($value($id), FREE_MAIL, true);
            $params[$id]->value_error = $is_free ? 'Take a domain of your own.' : '';
        }
    }
    if (isset($params['data_region'])) {
        $is_wrong = $value('data_region') === 'uk' && !$advanced;
        $params['data_region']->value_error = $is_wrong ? 'Advanced edition only.' : '';
    }
    if (isset($params['siem_url'])) {
        $is_missing = $advanced && !$value('siem_url');
        $params['siem_url']->value_error = $is_missing ? 'Where do alerts go?' : '';
        $params['siem_url']->constraints ??= new stdClass();
        $params['siem_url']->constraints->required = $advanced;
    }
    return $order;
}

// Returns the ids of all pending orders of a product, the oldest first.
function read_pending(Api $api, string $product): array
{
    $query = "and(eq(status,pending),eq(asset.product.id,$product))&ordering(created,id)";
    $ids = [];
    do {
        $page = $api->call('GET', "/requests?$query&limit=" . PAGE . '&offset=' . count($ids));
        array_push($ids, ...array_column($page, 'id'));
    } while (count($page) === PAGE);
    return $ids;
}

function find_template(Api $api, string $product): ?string
{
    $query = 'and(eq(scope,asset),eq(type,fulfillment))&limit=1';
    return $api->call('GET', "/products/$product/templates?$query")[0]['id'] ?? null;
}

// The API refuses or fails, or there is no response (status 0).
final class ApiError extends Exception
{
    public readonly bool $is_refusal;
    public readonly int $retry_after; // Seconds.

    public function __construct(string $message, int $status = 0, string $retry_after = '')
    {
        parent::__construct($message);
        $this->retry_after = (int) $retry_after;
        // Not an API that fails, or that gets too many requests.
        $this->is_refusal = $status >= 400 && $status < 500 && $status !== 429;
    }
}

final class Api
{
    public function __construct(private readonly string $url)
    {
    }

    // Calls the API, and returns its response; throws an ApiError.
    public function call(string $method, string $path, ?array $body = null): array
    {
        respond_if_late();
        $context = stream_context_create(['http' => [
            'method' => $method,
            'header' => ['Authorization: ' . API_KEY, 'Content-Type: application/json'],
            'content' => $body === null ? '' : json_encode($body ?: new stdClass()),
            'ignore_errors' => true,
            'follow_location' => 0,
            'timeout' => API_TIMEOUT,
        ]]);
        $stream = @fopen($this->url . $path, 'r', false, $context);
        $content = $stream ? stream_get_contents($stream) : '';
        $headers = $stream ? stream_get_meta_data($stream)['wrapper_data'] : [];
        $status = (int) (explode(' ', $headers[0] ?? '')[1] ?? 0);
        $decoded = json_decode((string) $content, true);
        if ($status >= 200 && $status <= 299 && is_array($decoded)) {
            return $decoded;
        }
        $retry_after = preg_grep('/^Retry-After:/i', $headers);
        throw new ApiError(
            "$method $path: " . ($status ? "$status " . substr($content, 0, 1000) : 'no response'),
            $status,
            trim(explode(':', (string) end($retry_after))[1] ?? ''),
        );
    }
}

// Processes the orders of a product, and responds: one run at a time, since calls overlap. Each
// approval is a queue change too.
function process(Api $api, string $product): void
{
    $lock = fopen(__FILE__, 'r');
    while (!flock($lock, LOCK_EX | LOCK_NB)) {
        if (PHP_SAPI === 'cli') {
            return; // Another process works already.
        }
        respond_if_late();
        usleep(20_000);
    }
    for ($failures = 0; ; ++$failures) {
        try {
            approve_pending($api, $product);
            respond(200);
            return;
        } catch (Throwable $error) {
            log_line($error->getMessage());
            if (respond(500)) {
                return; // Connect retries, five minutes later at the earliest.
            }
            // The response was sent before. Wait longer after each failure, and try again.
            $retry_after = $error instanceof ApiError ? $error->retry_after : 0;
            sleep(max($retry_after, min(2 ** min($failures, 10), LONGEST_PAUSE)));
        }
    }
}

// Sends the response, while the work may go on; returns false if one was sent before.
function respond(int $status, ?stdClass $content = null): bool
{
    static $is_sent = PHP_SAPI === 'cli'; // Nobody waits on the command line.
    if ($is_sent) {
        return false;
    }
    $body = json_encode($content ?? new stdClass());
    http_response_code($status);
    header('Content-Type: application/json');
    header('Content-Length: ' . strlen($body));
    ignore_user_abort(true);
    set_time_limit(0);
    echo $body;
    while (ob_get_level()) {
        ob_end_flush();
    }
    flush();
    if (function_exists('fastcgi_finish_request')) {
        fastcgi_finish_request();
    }
    return $is_sent = true;
}

function respond_if_late(): void
{
    if (microtime(true) - $_SERVER['REQUEST_TIME_FLOAT'] > PATIENCE) {
        respond(200);
    }
}

function log_line(string $text): void
{
    file_put_contents('php://stderr', "$text\n");
}

// Returns the claims of a request's token; null if it is not valid.
function read_token(): ?array
{
    // Connect's documentation names both headers. If both are there, one of them has to count.
    $header = $_SERVER['HTTP_AUTHENTICATION'] ?? $_SERVER['HTTP_AUTHORIZATION'] ?? '';
    if (!preg_match('/^Bearer\s+([^.\s]+)\.([^.\s]+)\.([^.\s]+)\s*$/', $header, $parts)) {
        return null;
    }
    [, $head, $claims, $signature] = $parts;
    $expected = base64_encode(hash_hmac('sha256', "$head.$claims", JWT_SECRET, true));
    if (!hash_equals(rtrim(strtr($expected, '+/', '-_'), '='), $signature)) {
        return null;
    }
    [$head, $claims] = array_map(
        fn ($part) => json_decode(base64_decode(strtr($part, '-_', '+/')), true),
        [$head, $claims],
    );
    $is_valid = ($head['alg'] ?? '') === 'HS256'
        && is_int($claims['exp'] ?? null) && $claims['exp'] > time()
        && is_string($claims['product_id'] ?? null) && is_string($claims['api_url'] ?? null);
    return $is_valid ? $claims : null;
}

// Returns the order in the body of a validator's request; null for a queue change.
function read_order(): ?stdClass
{
    $content = json_decode(file_get_contents('php://input'));
    $is_order = $content instanceof stdClass && ($content->asset ?? null) instanceof stdClass;
    return $is_order ? $content : null;
}

function handle(): void
{
    $claims = read_token();
    if (!$claims) {
        respond(401);
        return;
    }
    if (PRODUCT_ID && $claims['product_id'] !== PRODUCT_ID) {
        respond(403);
        return;
    }
    if ($order = read_order()) {
        // A validator receives the order, and returns it with edits.
        respond(200, validate($order));
        return;
    }
    // A queue change: trust the claims of the token, which are signed, and not the body.
    process(new Api(API_URL ?: $claims['api_url']), rawurlencode($claims['product_id']));
}

if (!API_KEY || !JWT_SECRET) {
    log_line('Set CONNECT_API_KEY and JWT_SECRET.');
    respond(500);
    exit(1);
}
if (PHP_SAPI !== 'cli') {
    handle();
} elseif (API_URL && PRODUCT_ID) {
    process(new Api(API_URL), rawurlencode(PRODUCT_ID));
} else {
    log_line('Set CONNECT_API_URL and PRODUCT_ID.');
    exit(1);
}
