<?php
/*
 * Roundcube's poppassd driver, as it is, with as much of Roundcube around it as it asks for:
 *
 *	php roundcube.php DRIVER HOST PORT NAME OLD NEW
 *
 * prints what its plugin shows to the user.
 */
error_reporting(E_ALL & ~E_DEPRECATED);
define('PASSWORD_CRYPT_ERROR', 1);
define('PASSWORD_ERROR', 2);
define('PASSWORD_CONNECT_ERROR', 3);
define('PASSWORD_SUCCESS', 0);

class rcmail
{
    public $config;

    public static function get_instance()
    {
        static $one;
        return $one ??= new self;
    }

    public function __construct()
    {
        $this->config = $this;
    }

    public function get($name, $default)
    {
        global $argv;
        return ['password_pop_host' => $argv[2], 'password_pop_port' => (int)$argv[3]][$name] ?? $default;
    }
}

class rcube_utils
{
    public static function parse_host($host)
    {
        return $host;
    }
}

require 'Net/Socket.php';
require $argv[1];
$result = (new rcube_poppassd_password)->save($argv[5], $argv[6], $argv[4]);
$code = is_array($result) ? $result['code'] : $result;
$text = is_array($result) ? ' ' . $result['message'] : '';
if ($code === PASSWORD_SUCCESS)
    echo "Successfully saved.\n";
else
    echo 'Could not save new password.', $code === PASSWORD_CONNECT_ERROR ? ' Connection error.' : '', trim(" $text") === '' ? '' : ' ' . trim($text), "\n";
