select 
    pri_ip, 
    sum(bytes_from_vpc) as total_bytes, /* Core field for analyzing the cause of the failure */
    date_trunc('minute', __time__) as ts_min /* Statistics by minute */
from 
    log 
where 
    pub_ip = '203.0.113.157' /* Filter by specific destination IP */
group by 
    ts_min, pri_ip
